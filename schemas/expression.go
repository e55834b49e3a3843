package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
)

// Bounds of expressions. There are no loops and no recursion in them, so that time
// and memory follow from the length and from the operands.
const (
	maxExpression = 4000
	// maxOperand bounds each value that goes in, and what comes out, in bytes.
	maxOperand = 64 << 10
)

// expression is the inside of a ${...} that is more than a reference. The language
// is that of github.com/expr-lang/expr without closures, variables, ranges and
// maps, and with the functions of this package only.
type expression struct {
	// source is the text as it is written, without ${ and }.
	source string
	// rewritten is the source with a variable of the same length in the place of
	// each path, since names of resources may have a "-".
	rewritten []rune
	paths     []operand
	root      ast.Node
}

// operand is one place where an expression refers to something.
type operand struct {
	Reference
	variable string
	from, to int
	// defaulted says that it stands on the left of ??.
	defaulted bool
}

// pathAt finds a path at the beginning of a text: the name of a resource, "param" or
// "secret", and what is asked of it.
var (
	pathAt   = regexp.MustCompile(`^([A-Za-z0-9_][-A-Za-z0-9_]*)\.([A-Za-z_][A-Za-z0-9_]*)`)
	secretAt = regexp.MustCompile(`^(secret)\.([A-Za-z0-9_][-A-Za-z0-9_]*)`)
	wordAt   = regexp.MustCompile(`^[A-Za-z0-9_]+`)
)

func parseExpression(source string) (*expression, error) {
	if len(source) > maxExpression {
		return nil, fmt.Errorf("%q is %d bytes long; an expression has at most %d", shorten(source), len(source), maxExpression)
	}
	e := &expression{source: source, rewritten: []rune(source)}
	e.findPaths()
	tree, err := parser.ParseWithConfig(string(e.rewritten), conf.CreateNew())
	if err != nil {
		return nil, fmt.Errorf("%w; write $${ for a plain ${", e.fault(err))
	}
	e.root = tree.Node
	if err := e.inspect(e.root); err != nil {
		return nil, err
	}
	return e, nil
}

// findPaths puts variables in the place of paths.
func (e *expression) findPaths() {
	quote, before := rune(0), rune(0)
	for i := 0; i < len(e.rewritten); i++ {
		c := e.rewritten[i]
		switch {
		case quote != 0 && c == '\\' && quote != '`':
			i++
			continue
		case quote != 0:
			if c == quote {
				quote = 0
			}
			continue
		case c == '"' || c == '\'' || c == '`':
			quote = c
		}
		rest := string(e.rewritten[i:])
		path := secretAt.FindStringSubmatch(rest)
		if path == nil {
			path = pathAt.FindStringSubmatch(rest)
		}
		switch {
		case path != nil && before != '.':
			o := operand{Reference: Reference{path[1], path[2]}, from: i, to: i + len(path[0])}
			o.variable = fmt.Sprintf("v%s", strconv.FormatInt(int64(len(e.paths)), 36))
			o.variable += strings.Repeat("_", max(0, len(path[0])-len(o.variable)))
			copy(e.rewritten[i:], []rune(o.variable))
			e.paths = append(e.paths, o)
			i = o.to - 1
		default:
			if word := wordAt.FindString(rest); word != "" {
				i += len(word) - 1
			}
		}
		before = e.rewritten[i]
	}
}

func (e *expression) references() []Reference {
	found := make([]Reference, len(e.paths))
	for i, o := range e.paths {
		found[i] = o.Reference
	}
	return found
}

// operand is the one that the variable stands for, or nil.
func (e *expression) operand(variable string) *operand {
	if i := slices.IndexFunc(e.paths, func(o operand) bool { return o.variable == variable }); i >= 0 {
		return &e.paths[i]
	}
	return nil
}

// inspect refuses what is not part of the language, and finds the operands that
// have a default.
func (e *expression) inspect(node ast.Node) error {
	switch n := node.(type) {
	case *ast.NilNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode, *ast.UnaryNode, *ast.ConditionalNode, *ast.ArrayNode, *ast.MemberNode, *ast.SliceNode:
	case *ast.IdentifierNode:
		if e.operand(n.Value) == nil {
			return e.wrong(n, fmt.Sprintf("%q is not known; write param.NAME, secret.NAME or RESOURCE.OUTPUT, and text in quotes", n.Value))
		}
	case *ast.BinaryNode:
		if n.Operator == ".." || n.Operator == "|" {
			return e.wrong(n, fmt.Sprintf("%s is not part of expressions here", n.Operator))
		}
		if left, ok := n.Left.(*ast.IdentifierNode); ok && n.Operator == "??" {
			if o := e.operand(left.Value); o != nil {
				o.defaulted = true
			}
		}
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		if !ok || functions[callee.Value] == nil {
			return e.wrong(n, "no such function; there are "+functionNames())
		}
	case *ast.BuiltinNode:
		if functions[n.Name] == nil {
			return e.wrong(n, fmt.Sprintf("there is no function %s; there are %s", n.Name, functionNames()))
		}
	default:
		return e.wrong(n, "variables, closures and objects are not part of expressions here")
	}
	for _, child := range children(node) {
		if err := e.inspect(child); err != nil {
			return err
		}
	}
	return nil
}

// children are the operands of a node of the language.
func children(node ast.Node) []ast.Node {
	switch n := node.(type) {
	case *ast.UnaryNode:
		return []ast.Node{n.Node}
	case *ast.BinaryNode:
		return []ast.Node{n.Left, n.Right}
	case *ast.ConditionalNode:
		return []ast.Node{n.Cond, n.Exp1, n.Exp2}
	case *ast.ArrayNode:
		return n.Nodes
	case *ast.CallNode:
		return n.Arguments
	case *ast.BuiltinNode:
		return n.Arguments
	case *ast.MemberNode:
		return []ast.Node{n.Node, n.Property}
	case *ast.SliceNode:
		return slices.DeleteFunc([]ast.Node{n.Node, n.From, n.To}, func(child ast.Node) bool { return child == nil })
	}
	return nil
}

// check compiles the expression for outputs of resources, which are text, and
// refuses what would change a secret; secret says which references hold one.
func (e *expression) check(secret func(Reference) bool) error {
	if err := e.verbatim(func(o operand) bool { return secret(o.Reference) }); err != nil {
		return err
	}
	values := map[string]any{}
	for _, o := range e.paths {
		values[o.variable] = ""
	}
	_, err := expr.Compile(string(e.rewritten), language(values)...)
	return e.fault(err)
}

// evaluate returns text, json.Number, bool, a list or an object. The values of the
// operands are such, or nil for nothing.
func (e *expression) evaluate(find func(operand) (any, error)) (any, error) {
	values := map[string]any{}
	for _, o := range e.paths {
		value, err := find(o)
		if err != nil {
			return nil, err
		}
		if size := len(plainText(value)); size > maxOperand {
			return nil, fmt.Errorf("%s: %s is %d bytes long; an expression takes at most %d", e, o.Reference, size, maxOperand)
		}
		values[o.variable] = native(value)
	}
	if err := e.verbatim(func(o operand) bool { return holdsPlaceholder(o, values[o.variable]) }); err != nil {
		return nil, err
	}
	program, err := expr.Compile(string(e.rewritten), language(values)...)
	if err != nil {
		return nil, e.fault(err)
	}
	result, err := expr.Run(program, values)
	if err != nil {
		return nil, e.fault(err)
	}
	value, err := document(result)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e, err)
	}
	if size := len(plainText(value)); size > maxOperand {
		return nil, fmt.Errorf("%s makes a text of %d bytes; at most %d are accepted", e, size, maxOperand)
	}
	return value, nil
}

// edited is the source with each path replaced by what edit returns for it.
func (e *expression) edited(edit func(operand) (string, error)) (string, error) {
	source, rest := []rune(e.source), 0
	var b strings.Builder
	for _, o := range e.paths {
		text, err := edit(o)
		if err != nil {
			return "", err
		}
		b.WriteString(string(source[rest:o.from]) + text)
		rest = o.to
	}
	return b.String() + string(source[rest:]), nil
}

// language are the options under which expressions with these variables run.
func language(variables map[string]any) []expr.Option {
	options := []expr.Option{expr.Env(variables), expr.DisableAllBuiltins(), expr.MaxNodes(maxExpression)}
	for name, f := range functions {
		if f.call == nil {
			options = append(options, expr.EnableBuiltin(name))
		} else {
			options = append(options, expr.Function(name, f.call, f.types...))
		}
	}
	return options
}

// String is the expression as it is written, cut when it is long.
func (e *expression) String() string { return `"${` + shorten(e.source) + `}"` }

func shorten(text string) string {
	const most = 80
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

func (e *expression) wrong(node ast.Node, reason string) error {
	return fmt.Errorf("%s, character %d: %s", e, node.Location().From+3, reason)
}

// fault tells an error of the library in the words of documents.
func (e *expression) fault(err error) error {
	var at *file.Error
	if !errors.As(err, &at) {
		return err
	}
	words := typeWord.ReplaceAllStringFunc(at.Message, func(word string) string {
		if strings.HasPrefix(word, `"`) {
			return word // quoted from the document
		}
		return typeWords[word]
	})
	for _, o := range e.paths {
		words = strings.ReplaceAll(words, o.variable, o.Namespace+"."+o.Name)
	}
	return fmt.Errorf("%s, character %d: %s", e, at.From+3, words)
}

// typeWords are the words of documents for the types of the language.
var typeWords = map[string]string{
	"map[string]interface {}": "an object", "[]interface {}": "a list", "interface {}": "any value", "[]string": "a list",
	"string": "text", "int": "number", "float64": "number", "bool": "truth value", "nil": "nothing", "<nil>": "nothing",
}

var typeWord = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|map\[string\]interface \{\}|\[\]interface \{\}|interface \{\}|\[\]string|<nil>|\b(string|int|float64|bool|nil)\b`)

// native is a value of a document as the language takes it.
func native(value any) any {
	switch v := value.(type) {
	case json.Number:
		if whole, err := strconv.Atoi(v.String()); err == nil {
			return whole
		}
		return number(v)
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			items[i] = native(item)
		}
		return items
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, member := range v {
			object[name] = native(member)
		}
		return object
	}
	return value
}

// document is a value of the language as documents hold it.
func document(value any) (any, error) {
	switch v := value.(type) {
	case nil:
		return nil, errors.New("has no value; give a default with ??")
	case int:
		return json.Number(strconv.Itoa(v)), nil
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, errors.New("is no finite number; is there a division by 0?")
		}
		return json.Number(strconv.FormatFloat(v, 'f', -1, 64)), nil
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			var err error
			if items[i], err = document(item); err != nil {
				return nil, err
			}
		}
		return items, nil
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, member := range v {
			var err error
			if object[name], err = document(member); err != nil {
				return nil, err
			}
		}
		return object, nil
	}
	return value, nil
}
