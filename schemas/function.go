package schemas

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// function is one that expressions may call. Without a call it is that of the
// expression library.
type function struct {
	call  func(arguments ...any) (any, error)
	types []any
}

// functions are all that expressions may call: pure, and bounded by what goes in.
var functions = map[string]*function{
	"abs": {}, "ceil": {}, "floor": {}, "round": {}, "min": {}, "max": {}, "len": {}, "first": {}, "last": {},
	"upper": {}, "lower": {}, "trim": {}, "trimPrefix": {}, "trimSuffix": {}, "hasPrefix": {}, "hasSuffix": {},
	"int": {
		call:  func(arguments ...any) (any, error) { return toInt(arguments[0]) },
		types: []any{new(func(any) int)},
	},
	"string": {
		call:  func(arguments ...any) (any, error) { return inText(arguments[0]) },
		types: []any{new(func(any) string)},
	},
	"join": {
		call: func(arguments ...any) (any, error) {
			return join(arguments[0].([]any), arguments[1].(string))
		},
		types: []any{new(func([]any, string) string)},
	},
	"split": {
		call: func(arguments ...any) (any, error) {
			var items []any
			for item := range strings.SplitSeq(arguments[0].(string), arguments[1].(string)) {
				items = append(items, item)
			}
			return items, nil
		},
		types: []any{new(func(string, string) []any)},
	},
	"replace": {
		call: func(arguments ...any) (any, error) {
			return replace(arguments[0].(string), arguments[1].(string), arguments[2].(string))
		},
		types: []any{new(func(string, string, string) string)},
	},
}

func functionNames() string {
	return strings.Join(slices.Sorted(maps.Keys(functions)), ", ")
}

// toInt cuts the digits behind the point off.
func toInt(value any) (any, error) {
	switch v := value.(type) {
	case int:
		return v, nil
	case float64:
		return int(v), nil
	case string:
		if n, err := strconv.Atoi(strings.TrimSpace(v)); err == nil {
			return n, nil
		}
	}
	text, err := inText(value)
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("a number, or text that is a whole number, is expected; %q is none", shorten(text))
}

func inText(value any) (string, error) {
	held, err := document(value)
	return plainText(held), err
}

func join(items []any, separator string) (any, error) {
	texts, size := make([]string, len(items)), 0
	for i, item := range items {
		var err error
		if texts[i], err = inText(item); err != nil {
			return nil, err
		}
		if size += len(texts[i]) + len(separator); size > maxOperand {
			return nil, errTooLong("join")
		}
	}
	return strings.Join(texts, separator), nil
}

func replace(text, old, with string) (any, error) {
	if len(text)+strings.Count(text, old)*len(with) > 2*maxOperand {
		return nil, errTooLong("replace")
	}
	return strings.ReplaceAll(text, old, with), nil
}

func errTooLong(name string) error {
	return fmt.Errorf("%s makes a text that is too long; at most %d bytes are accepted", name, maxOperand)
}
