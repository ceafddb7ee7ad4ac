package events

import (
	"embed"
	"io/fs"
)

//go:embed examples/*.json
var examples embed.FS

//go:embed *.schema.json
var schemas embed.FS

// Examples holds one realistic log a file, each as a producer would send it.
func Examples() fs.FS {
	sub, err := fs.Sub(examples, "examples")
	if err != nil {
		panic("events: " + err.Error()) // the name is a constant that is valid
	}
	return sub
}

// Schemas holds log.schema.json and document.schema.json, for what goes in and what destinations receive, and bus.schema.json, for what is
// announced on the event bus.
func Schemas() fs.FS { return schemas }
