package config

import (
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"lockstep/internal/lockstep"

	"go.yaml.in/yaml/v4"
)

// Load reads lockstep.yaml; name is what problems call it. The error is a
// *Problems that lists every mistake, or the wrapped error of r. With a *Problems
// the Config holds what could be read, so that a linter can go on to what it
// names; it must not be run.
func Load(r io.Reader, name string) (Config, error) {
	root, err := Parse(r, name)
	if err != nil {
		return Default(), err
	}
	c := decode(root)
	return c, root.Err()
}

func decode(root *Node) Config {
	c := Default()
	m := root.Map("version", "data", "listen", "token_file", "handler", "receipts", "mapping",
		"imports", "compact", "follower", "retention", "environment", "revisions", "release", "guards", "checks", "rollback", "collections")
	c.Version = int(m.Get("version").Int(FormatVersion, FormatVersion, FormatVersion))
	c.Data = m.Get("data").Text(c.Data)
	c.TokenFile = m.Get("token_file").Text("")
	c.Listen = decodeListen(m.Get("listen"), c.Listen, m.Get("token_file"))
	c.Handler = m.Get("handler").Enum(c.Handler, Handlers()...)
	c.Receipts.Labels = m.Get("receipts").Map("labels").Get("labels").Enum(c.Receipts.Labels, "array", "csv")
	c.Mapping = decodeMapping(root, m)

	imports := m.Get("imports").Map("directory", "bucket")
	c.Imports.Directory = imports.Get("directory").Text(c.Imports.Directory)
	c.Imports.Bucket = imports.Get("bucket").Text("")

	c.Compact = decodeCompact(m.Get("compact"), c.Compact)
	c.Follower.Chroma.Directory = chromaUnder(c.Data)
	c.Follower.Chroma = decodeChroma(m.Get("follower").Map("chroma").Get("chroma"), c.Follower.Chroma)
	c.Retention.Keep = m.Get("retention").Map("keep").Get("keep").Duration(c.Retention.Keep, time.Minute, 10*365*24*time.Hour)
	c.Environment = decodeEnvironment(m.Get("environment"))
	c.Programs = decodePrograms(m.Get("revisions"))
	c.Release = decodeRelease(m.Get("release"), c.Release)
	c.Guards = decodeGuards(m.Get("guards"))
	c.Checks = decodeChecks(m.Get("checks"))
	c.Rollback = decodeRollback(m.Get("rollback"), c.Rollback)
	for _, e := range m.Get("collections").Entries().All() {
		decodeCollection(e, c.Collections)
	}
	return c
}

// decodeListen keeps an API without a token on this machine (DESIGN 15).
func decodeListen(n *Node, def string, token *Node) string {
	s := n.Text(def)
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		n.Reject("want host:port such as 127.0.0.1:8765, found %q", quoteShort(s))
		return def
	}
	host := strings.TrimSuffix(strings.TrimPrefix(s[:i], "["), "]")
	if port, err := strconv.ParseUint(s[i+1:], 10, 16); err != nil || strings.ContainsAny(host, " /[]") {
		n.Reject("want host:port with a port from 0 to 65535, found %q", quoteShort(s))
		return def
	} else if want := strconv.FormatUint(port, 10); want != s[i+1:] {
		n.Reject("want the port without leading zeros, found %q", quoteShort(s))
		return def
	}
	if token == nil && !loopback(host) {
		n.Reject("%q can be reached from other machines; listen on 127.0.0.1, or set token_file", quoteShort(s))
		return def
	}
	return s
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func decodeMapping(root *Node, m *Map) Mapping {
	n := m.Get("mapping")
	named := m.Get("handler").scalarIs(HandlerMapping)
	switch {
	case n == nil && named:
		root.Reject("handler is mapping, so key %q is missing: a file name, or the mapping itself", "mapping")
		return Mapping{}
	case n == nil:
		return Mapping{}
	case !named:
		n.Reject("a mapping has no effect without handler: mapping")
	}
	if n.IsMap() {
		return Mapping{Inline: n}
	}
	return Mapping{File: n.Text("")}
}

func decodeCompact(n *Node, def Compact) Compact {
	m := n.Map("max_messages", "max_bytes", "max_delay", "base_factor")
	return Compact{
		MaxMessages: int(m.Get("max_messages").Int(int64(def.MaxMessages), 1, 100_000)),
		MaxBytes:    m.Get("max_bytes").Bytes(def.MaxBytes, 64<<10, 1<<30),
		MaxDelay:    m.Get("max_delay").Duration(def.MaxDelay, 0, time.Minute),
		BaseFactor:  m.Get("base_factor").Float(def.BaseFactor, 0.1, 100),
	}
}

func decodeChroma(n *Node, def Chroma) Chroma {
	m := n.Map("directory", "command", "template", "every", "keep", "enabled")
	c := def
	c.Directory = m.Get("directory").Text(def.Directory)
	c.Template = m.Get("template").Text("")
	c.Every = m.Get("every").Duration(def.Every, 100*time.Millisecond, 24*time.Hour)
	c.Keep = int(m.Get("keep").Int(int64(def.Keep), 1, 100))
	c.Enabled = m.Get("enabled").Enum(def.Enabled, "auto", "on", "off")
	if command := m.Get("command"); command != nil {
		c.Command = words(command)
		if command.node.Kind == yaml.SequenceNode && len(command.node.Content) == 0 {
			command.Reject("want the program and its arguments, for example [chroma], found an empty list")
		}
	}
	return c
}

func decodeCollection(e Entry, into map[lockstep.Collection]Collection) {
	name := lockstep.Collection(e.Key)
	switch err := name.Check(); {
	case err != nil:
		e.Reject("%v", err)
	case name.Builtin():
		e.Reject("%q is one of Lockstep's own collections, which have no vectors", e.Key)
	}
	m := e.Value.Map("dimension", "space")
	into[name] = Collection{
		Dimension: int(m.Get("dimension").Int(0, 0, lockstep.MaxDimension)),
		Space:     m.Get("space").Enum("l2", Spaces()...),
	}
}

// scalarIs says whether the node is there and a scalar that reads s.
func (n *Node) scalarIs(s string) bool { return n != nil && n.node.Value == s }
