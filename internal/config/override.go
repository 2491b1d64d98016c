package config

import (
	"fmt"
	"net"
	"path/filepath"

	"lockstep/internal/lockstep"
)

// WithData returns the configuration with another data directory. A follower that
// lies under the default place moves along.
func (c Config) WithData(dir string) Config {
	if c.Follower.Chroma.Directory == chromaUnder(c.Data) {
		c.Follower.Chroma.Directory = filepath.Join(dir, "chroma")
	}
	c.Data = dir
	return c
}

// WithListen returns the configuration with another address of the API. ErrInvalid
// when it is not host:port, or not a loopback host although no token is configured.
func (c Config) WithListen(address string) (Config, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return c, fmt.Errorf("listen address %q: %w: want host:port", address, lockstep.ErrInvalid)
	}
	if c.TokenFile == "" && !loopback(host) {
		return c, fmt.Errorf("listen address %q: %w: only a loopback host without a token_file", address, lockstep.ErrInvalid)
	}
	c.Listen = address
	return c, nil
}
