package chroma

import (
	"path/filepath"
	"strings"
)

const adviceInstall = "install Chroma 1.0.0 or newer (pip install chromadb) so that \"chroma\" is on the PATH, " +
	"or name its command, a Python interpreter that can import chromadb, or a directory that Chroma initialised"

// Detect says which command would make a template. lookPath is exec.LookPath or a
// stand-in. command is nil when there is none, and advice then says what to install.
func Detect(lookPath func(string) (string, error)) (command []string, advice string) {
	path, err := lookPath("chroma")
	if err != nil {
		return nil, "no chroma on the PATH: " + adviceInstall
	}
	return []string{path}, ""
}

// isPython says whether a command is a Python interpreter and not a Chroma server.
func isPython(command []string) bool {
	return strings.HasPrefix(filepath.Base(command[0]), "python")
}
