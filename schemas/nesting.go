package schemas

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// typeTemplate is the type of a resource that stands for all resources of a
// Template. No document has one any more once it is parsed.
const typeTemplate = "Template"

// maxNesting is how deep Templates may be nested.
const maxNesting = 8

// maxName is how long the name of a resource may be.
const maxName = 63

// nested is a resource of type Template while its document is expanded.
type nested struct {
	name string
	// path is that of the resource.
	path string
	// resources are the names of those that take its place.
	resources []string
	// outputs are what others see of it; their texts refer to those resources.
	outputs map[string]any
	// resolving is set while the outputs of others are put into its own.
	resolving bool
}

// expansion puts the resources of Templates in the place of the resources that
// stand for them.
type expansion struct {
	tree   *Tree
	depth  int
	nested map[string]*nested
	// resources, origins and typed make up the document that comes out.
	resources []any
	origins   []string
	typed     map[string]bool
}

// expand replaces every resource of type Template by the resources of its Template,
// named "<resource>-<inner>". Paths of the tree are then those of the result;
// faults and places name what stands in the text.
func (t *Tree) expand(depth int) error {
	list := resourcesOf(t.Value)
	if !slices.ContainsFunc(list, isNested) {
		return nil
	}
	x := &expansion{tree: t, depth: depth, nested: map[string]*nested{}, typed: map[string]bool{}}
	for path := range t.typed {
		if !strings.HasPrefix(path, "spec.resources[") {
			x.typed[path] = true
		}
	}
	for i, r := range list {
		path := elementPath("spec.resources", i)
		if !isNested(r) {
			x.take(t, r, path, path)
			continue
		}
		if err := x.open(path, r.(map[string]any)); err != nil {
			return err
		}
	}
	t.Value.(map[string]any)["spec"].(map[string]any)["resources"] = x.resources
	t.origins, t.typed = x.origins, x.typed
	return x.resolve()
}

// resourcesOf is the list of resources of a document, as far as it has one.
func resourcesOf(value any) []any {
	document, _ := value.(map[string]any)
	spec, _ := document["spec"].(map[string]any)
	list, _ := spec["resources"].([]any)
	return list
}

func isNested(resource any) bool {
	r, _ := resource.(map[string]any)
	return r["type"] == typeTemplate
}

// take adds a resource of a tree that stands there at one path, and in the text of
// the whole at another.
func (x *expansion) take(from *Tree, resource any, path, origin string) {
	own := elementPath("spec.resources", len(x.resources))
	for typed := range from.typed {
		if rest, ok := strings.CutPrefix(typed, path); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			x.typed[own+rest] = true
		}
	}
	x.resources, x.origins = append(x.resources, resource), append(x.origins, origin)
}

// open expands one resource of type Template.
func (x *expansion) open(path string, r map[string]any) error {
	if err := placed(x.tree.sub(r, path).check("windlass:infrastructure#/$defs/resource"), path); err != nil {
		return err
	}
	n := &nested{name: r["name"].(string), path: path, outputs: map[string]any{}}
	if x.count(n.name) > 1 {
		return x.fault(memberPath(path, "name"), fmt.Sprintf("resource %q is declared twice", n.name))
	}
	x.nested[n.name] = n
	properties := r["properties"].(map[string]any)
	inside := memberPath(path, "properties.template")
	template, given := properties["template"].(map[string]any)
	switch {
	case properties["file"] != nil:
		return x.fault(memberPath(path, "properties.file"), "files are read where the windlass command runs; what is sent holds the Template itself, as template")
	case !given:
		return x.fault(memberPath(path, "properties"), `"template" is missing: the Template itself, or "file" with the path of one`)
	case template["kind"] != KindTemplate:
		return x.fault(memberPath(inside, "kind"), fmt.Sprintf("%s is not accepted; accepted is %q", shown(template["kind"]), KindTemplate))
	case x.depth >= maxNesting:
		return x.fault(path, fmt.Sprintf("Templates are nested deeper than %d levels", maxNesting))
	}
	inner := x.tree.sub(template, inside)
	values, _ := properties["parameters"].(map[string]any)
	if err := inner.nest(n.name, x.environment(), values, x.depth); err != nil {
		return placed(err, inside)
	}
	for i, resource := range resourcesOf(inner.Value) {
		own := elementPath("spec.resources", i)
		object := resource.(map[string]any)
		adopt(object, r, inner.Value)
		n.resources = append(n.resources, object["name"].(string))
		x.take(inner, object, own, memberPath(inside, inner.origin(own)))
	}
	n.outputs = inner.outputs
	return nil
}

// count is how many resources of the document have that name.
func (x *expansion) count(name string) int {
	count := 0
	for _, resource := range resourcesOf(x.tree.Value) {
		if r, _ := resource.(map[string]any); r["name"] == name {
			count++
		}
	}
	return count
}

// environment is that of the whole document.
func (x *expansion) environment() any {
	return x.tree.Value.(map[string]any)["spec"].(map[string]any)["environment"]
}

// adopt hands down what the outer resource says for all inner ones, as far as they
// do not say it themselves, and then the provider of the Template.
func adopt(inner, outer map[string]any, template any) {
	for member, value := range outer {
		if _, own := inner[member]; !own && member != "properties" {
			inner[member] = value
		} else if own && member == "dependsOn" {
			inner[member] = slices.Concat(inner[member].([]any), value.([]any))
		}
	}
	if provider := template.(map[string]any)["spec"].(map[string]any)["provider"]; provider != nil && inner["provider"] == nil {
		inner["provider"] = provider
	}
}

// nest makes of a Template the resources that it is inside another document.
func (t *Tree) nest(name string, environment any, values map[string]any, depth int) error {
	document := t.Value.(map[string]any)
	spec, _ := document["spec"].(map[string]any)
	if spec != nil && environment != nil {
		spec["environment"] = environment // of the whole; what is nested has none of its own
	}
	if err := t.rename(name); err != nil {
		return err
	}
	if err := t.instantiate(values); err != nil {
		return err
	}
	// What it holds is checked as a whole before it becomes a part of something
	// else; resources of type Template in it still are what they were.
	if err := t.toText("windlass:infrastructure"); err != nil {
		return err
	}
	if err := t.check("windlass:infrastructure"); err != nil {
		return err
	}
	return t.expand(depth + 1)
}

// resolve puts the outputs of nested Templates where others refer to them, and
// their resources where others depend on them.
func (x *expansion) resolve() error {
	for _, name := range slices.Sorted(maps.Keys(x.nested)) {
		if err := x.settle(x.nested[name]); err != nil {
			return err
		}
	}
	for i, resource := range x.resources {
		path := elementPath("spec.resources", i)
		object, ok := resource.(map[string]any)
		if !ok {
			continue // the schema says what is wrong
		}
		if needs, ok := object["dependsOn"].([]any); ok {
			object["dependsOn"] = x.needs(needs)
		}
		properties, err := x.refer(memberPath(path, "properties"), object["properties"], x.tree)
		if err != nil {
			return err
		}
		if properties != nil {
			object["properties"] = properties
		}
	}
	for name, value := range x.tree.outputs {
		resolved, err := x.refer("spec.outputs", value, nil)
		if err != nil {
			return err
		}
		x.tree.outputs[name] = resolved
	}
	return nil
}

// needs names the resources of nested Templates instead of those.
func (x *expansion) needs(names []any) []any {
	var all []any
	for _, name := range names {
		text, _ := name.(string)
		n := x.nested[text]
		if n == nil {
			all = append(all, name)
			continue
		}
		for _, resource := range n.resources {
			all = append(all, resource)
		}
	}
	return all
}

// settle puts the outputs of others into those of a nested Template.
func (x *expansion) settle(n *nested) error {
	if n.resolving {
		return x.fault(n.path, fmt.Sprintf("the outputs of %q refer to themselves, by way of the outputs of other Templates", n.name))
	}
	n.resolving = true
	defer func() { n.resolving = false }()
	for _, name := range slices.Sorted(maps.Keys(n.outputs)) {
		for _, other := range x.mentioned(n.outputs[name]) {
			if err := x.settle(other); err != nil {
				return err
			}
		}
		value, err := x.refer(n.path, n.outputs[name], nil)
		if err != nil {
			return err
		}
		n.outputs[name] = value
	}
	return nil
}

// mentioned are the nested Templates that a value refers to.
func (x *expansion) mentioned(value any) []*nested {
	var found []*nested
	_, _ = walkStrings(value, "", func(_, text string) (any, error) {
		references, err := References(text)
		for _, r := range references {
			if n := x.nested[r.Namespace]; n != nil && !slices.Contains(found, n) {
				found = append(found, n)
			}
		}
		return text, err
	})
	return found
}

// refer puts outputs of nested Templates into the texts of a value. The tree keeps
// those that have another type than text; it may be nil.
func (x *expansion) refer(path string, value any, tree *Tree) (any, error) {
	return walkStrings(value, path, func(path, text string) (any, error) {
		filled, typed, err := fillText(text, false, func(r Reference, _ bool) (any, bool, error) {
			n := x.nested[r.Namespace]
			if n == nil {
				return nil, false, nil
			}
			value, known := n.outputs[r.Name]
			if !known {
				return nil, false, fmt.Errorf("%s: Template %q has no output %q; it has %s", r, n.name, r.Name, namesOr(n.outputs, "none"))
			}
			return value, true, nil
		})
		if err != nil {
			return nil, Faults{x.tree.Fault(path, err.Error())}
		}
		if typed && tree != nil {
			tree.typed[path] = true
		}
		return filled, x.tree.grow(path, filled)
	})
}

func namesOr(values map[string]any, none string) string {
	if len(values) == 0 {
		return none
	}
	return strings.Join(slices.Sorted(maps.Keys(values)), ", ")
}

func (x *expansion) fault(path, reason string) error {
	return Faults{x.tree.Fault(path, reason)}
}

// placed puts the path of what was looked at before the fields of faults.
func placed(err error, path string) error {
	faults, ok := err.(Faults)
	if !ok {
		return err
	}
	for i := range faults {
		faults[i].Field = joinPath(path, faults[i].Field)
	}
	return faults
}
