package cli

import "github.com/spf13/cobra"

// commands lists every command, in the order of their groups.
func (c *session) commands() []*cobra.Command {
	return []*cobra.Command{
		c.up(), c.demo(), c.ingest(), c.follow(),
		c.status(), c.log(), c.show(), c.diff(), c.blame(), c.get(), c.checkout(), c.bisect(),
		c.reset(), c.revert(), c.rebuild(), c.replay(), c.parked(), c.pin(), c.gc(),
		c.rollback(), c.incident(), c.release(), c.revision(), c.analysis(), c.shadow(),
		c.guard(), c.assess(), c.load(), c.verify(), c.lint(), c.version(), exitStatus(),
	}
}
