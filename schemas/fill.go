package schemas

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// finder is the value that takes the place of a reference, where it has one. The
// flag defaulted is that of an operand.
type finder func(r Reference, defaulted bool) (value any, found bool, err error)

// fillText puts values in the place of references, and evaluates the expressions
// that then refer to secrets at most. What is not found stays as it is, and so do
// expressions that refer to nothing when constants is false. A text that is one
// reference or expression takes the value with its type, which typed says.
func fillText(text string, constants bool, find finder) (value any, typed bool, err error) {
	parts, err := split(text)
	if err != nil {
		return nil, false, err
	}
	var out strings.Builder
	for _, p := range parts {
		var value any = p.plain
		known := false
		switch {
		case p.reference != nil:
			if value, known, err = find(*p.reference, false); !known {
				value = p.reference.String()
			}
		case p.expression != nil:
			value, known, err = p.expression.fill(constants, find)
		}
		if err != nil {
			return nil, false, err
		}
		if known && len(parts) == 1 {
			return value, true, nil
		}
		out.WriteString(plainText(value))
	}
	return out.String(), false, nil
}

// fill is the value of the expression, where it is known, else the expression with
// the values of those references that are found.
func (e *expression) fill(constants bool, find finder) (value any, known bool, err error) {
	values, found, plain := map[string]any{}, 0, true
	for _, o := range e.paths {
		value, known, err := find(o.Reference, o.defaulted)
		if err != nil {
			return nil, false, err
		}
		if known {
			found++
			values[o.variable] = value
			plain = plain && !holdsPlaceholder(o, value)
		}
	}
	switch {
	case found == 0 && !constants:
		return "${" + e.source + "}", false, nil
	case plain && (found == len(e.paths) || !e.refersBeyond(values)):
		value, err := e.evaluate(func(o operand) (any, error) {
			if value, known := values[o.variable]; known {
				return value, nil
			}
			return o.Reference.String(), nil
		})
		return value, true, err
	}
	source, err := e.edited(func(o operand) (string, error) {
		value, known := values[o.variable]
		if !known {
			return o.Namespace + "." + o.Name, nil
		}
		return literal(value)
	})
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", e, err)
	}
	filled, err := parseExpression(source)
	if err != nil {
		return nil, false, err
	}
	if filled.refersBeyond(nil) {
		return "${" + source + "}", false, nil
	}
	value, err = filled.evaluate(func(o operand) (any, error) { return o.Reference.String(), nil })
	return value, true, err
}

// refersBeyond says whether the expression refers to anything but the variables that
// have values, and secrets: to outputs, which are not known when a document is read.
func (e *expression) refersBeyond(values map[string]any) bool {
	for _, o := range e.paths {
		if _, known := values[o.variable]; !known && o.Namespace != NamespaceSecret {
			return true
		}
	}
	return false
}

// literal is a value as it is written in an expression. References in a text become
// operands.
func literal(value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "nil", nil
	case string:
		return textLiteral(v)
	case json.Number:
		return "(" + v.String() + ")", nil
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			var err error
			if items[i], err = literal(item); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(items, ", ") + "]", nil
	case map[string]any:
		return "", fmt.Errorf("%s is an object, which an expression that refers to a resource too cannot take", shown(v))
	}
	return fmt.Sprint(value), nil
}

func textLiteral(text string) (string, error) {
	parts, err := split(text)
	if err != nil {
		return "", err
	}
	if len(parts) == 0 {
		return `""`, nil
	}
	sum := make([]string, len(parts))
	for i, p := range parts {
		switch {
		case p.reference != nil:
			sum[i] = p.reference.Namespace + "." + p.reference.Name
		case p.expression != nil:
			sum[i] = "(" + p.expression.source + ")"
		default:
			sum[i] = strconv.QuoteToASCII(p.plain)
		}
	}
	if len(sum) == 1 {
		return sum[0], nil
	}
	return "(" + strings.Join(sum, " + ") + ")", nil
}
