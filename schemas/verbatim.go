package schemas

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// secretOutputs lists, for each type, the outputs that hold a placeholder of a
// secret.
var secretOutputs = map[ResourceType][]string{
	TypeDatabase: {"password", "url"},
}

// holdsPlaceholder says whether an operand with that value holds a placeholder.
func holdsPlaceholder(o operand, value any) bool {
	return o.Namespace == NamespaceSecret || strings.Contains(plainText(value), "${")
}

// verbatim refuses an expression that does anything with a placeholder but pass it
// on as it is: joined to other text, or chosen by a condition on something else. An
// activity finds placeholders in the value and puts the secrets in their place, so
// a placeholder that is changed, cut or asked about would give nonsense.
func (e *expression) verbatim(secret func(operand) bool) error {
	_, err := e.passesOn(e.root, secret)
	return err
}

// passesOn says whether the value of a node holds a placeholder.
func (e *expression) passesOn(node ast.Node, secret func(operand) bool) (bool, error) {
	if n, ok := node.(*ast.IdentifierNode); ok {
		o := e.operand(n.Value)
		return o != nil && secret(*o), nil
	}
	holds := false
	for i, child := range children(node) {
		inside, err := e.passesOn(child, secret)
		if err != nil {
			return false, err
		}
		if inside && !keeps(node, i) {
			return false, e.wrong(child, fmt.Sprintf("holds a secret, which may only be joined to other text with + or join, or chosen by a condition (%s)", e.secrets(secret)))
		}
		holds = holds || inside
	}
	return holds, nil
}

// keeps says whether a node passes its child of that index on as it is.
func keeps(node ast.Node, index int) bool {
	switch n := node.(type) {
	case *ast.BinaryNode:
		return n.Operator == "+" || n.Operator == "??"
	case *ast.ConditionalNode:
		return index > 0
	case *ast.ArrayNode:
		return true
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		return ok && callee.Value == "join"
	case *ast.BuiltinNode:
		return n.Name == "join"
	}
	return false
}

// secrets names the operands that hold one.
func (e *expression) secrets(secret func(operand) bool) string {
	var names []string
	for _, o := range e.paths {
		if name := o.Namespace + "." + o.Name; secret(o) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
