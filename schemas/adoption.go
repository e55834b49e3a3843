package schemas

import "fmt"

// network checks what a Network that takes one over may say.
func (v *validation) network(index int, r *Resource) {
	n, err := Decode[Network](*r)
	if err != nil {
		v.fault(v.path(index, "properties"), err.Error())
		return
	}
	if n.Adopt == "" {
		return
	}
	v.adoption(index, r, n.Adopt, "network")
	if len(n.Labels) > 0 {
		v.fault(v.path(index, "properties.labels"), fmt.Sprintf("cannot be put on network %q, which exists; leave them out", n.Adopt))
	}
}

// storage checks the size of a Storage and what one that takes a volume over may say.
func (v *validation) storage(index int, r *Resource) {
	s, err := Decode[Storage](*r)
	if err != nil {
		v.fault(v.path(index, "properties"), err.Error())
		return
	}
	if _, err := s.Size.Bytes(); err != nil {
		v.fault(v.path(index, "properties.size"), err.Error())
	}
	if s.Adopt == "" {
		return
	}
	v.adoption(index, r, s.Adopt, "volume")
	for member, given := range map[string]bool{"size": s.Size != "", "driver": s.Driver != "", "options": len(s.Options) > 0, "labels": len(s.Labels) > 0, "retention": s.Retention != ""} {
		if given {
			v.fault(v.path(index, "properties."+member), fmt.Sprintf("has no meaning for volume %q, which exists and is given back as it is; leave it out", s.Adopt))
		}
	}
}

// adoption refuses what stands for something of the document itself, and tags,
// which what exists does not get.
func (v *validation) adoption(index int, r *Resource, name, kind string) {
	if references, err := References(name); err == nil && len(references) > 0 {
		v.fault(v.path(index, "properties.adopt"), fmt.Sprintf("%q refers to a resource; the name of a %s that was made by hand is expected", name, kind))
	}
	if len(r.Tags) > 0 {
		v.fault(v.path(index, "tags"), fmt.Sprintf("cannot be put on %s %q, which exists; leave them out", kind, name))
	}
}
