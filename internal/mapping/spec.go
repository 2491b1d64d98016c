package mapping

import (
	"lockstep/internal/handler"
	"lockstep/internal/lockstep"
)

// spec is the mapping as written, in one form: its JSON is the configuration that
// identifies the revision, so fields are never reordered or renamed.
type spec struct {
	Name        string           `json:"name"`
	Version     string           `json:"version"`
	Key         keySpec          `json:"key"`
	Collections []collectionSpec `json:"collections"`
	Entities    []entitySpec     `json:"entities"`
	Imports     []importSpec     `json:"imports"`
}

type keySpec struct {
	Partition string `json:"partition"`
	Sort      string `json:"sort"`
}

type collectionSpec struct {
	Name        string `json:"name"`
	Dimension   int    `json:"dimension"`
	Space       string `json:"space"`
	IDPattern   string `json:"id_pattern"`
	IDPartition string `json:"id_partition"`
}

type matchSpec struct {
	Partition string `json:"partition"`
	Sort      string `json:"sort"`
}

type entitySpec struct {
	Entity  string       `json:"entity"`
	Match   matchSpec    `json:"match"`
	Records []recordSpec `json:"records"`
}

type recordSpec struct {
	Collection string      `json:"collection"`
	ID         string      `json:"id"`
	Metadata   []fieldSpec `json:"metadata"`
	Document   string      `json:"document"`
	OnRemove   string      `json:"on_remove"`
}

type fieldSpec struct {
	Key       string `json:"key"`
	Attribute string `json:"attribute"`
	Type      string `json:"type"`
	Of        string `json:"of"`
	Default   any    `json:"default"`
	OmitEmpty bool   `json:"omit_empty"`
}

type importSpec struct {
	Entity  string         `json:"entity"`
	Match   matchSpec      `json:"match"`
	Sources []locationSpec `json:"sources"`
}

type locationSpec struct {
	Collection string `json:"collection"`
	Attribute  string `json:"attribute"`
	IDs        string `json:"ids"`
}

func (s spec) description(code string, canonical []byte) handler.Description {
	d := handler.Description{
		Name: s.Name, Version: s.Version,
		ReadsFormat: s.Name + "/1", WritesFormat: s.Name + "/1",
		Code: code, Config: canonical,
		Key: handler.KeySchema{Partition: s.Key.Partition, Sort: s.Key.Sort},
	}
	for _, c := range s.Collections {
		d.Collections = append(d.Collections, handler.CollectionSpec{
			Name: lockstep.Collection(c.Name), Dimension: c.Dimension, Space: c.Space,
		})
	}
	for _, e := range s.Entities {
		d.Entities = append(d.Entities, handler.EntityRule{Entity: e.Entity, Partition: e.Match.Partition, Sort: e.Match.Sort})
	}
	for _, im := range s.Imports {
		d.Entities = append(d.Entities, handler.EntityRule{Entity: im.Entity, Partition: im.Match.Partition, Sort: im.Match.Sort})
	}
	return d
}
