package schemas

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParameterType is the type of a Template's parameter.
type ParameterType string

// The parameter types.
const (
	ParameterString  ParameterType = "String"
	ParameterNumber  ParameterType = "Number"
	ParameterBoolean ParameterType = "Boolean"
	ParameterList    ParameterType = "List"
)

// Parameter is a typed value that a Template asks for, used as ${param.name}.
type Parameter struct {
	Name string        `json:"name"`
	Type ParameterType `json:"type"`
	// Description is for people, and part of the fault about a wrong value.
	Description string `json:"description,omitempty"`
	// Required refuses a deployment that gives no value. A parameter that is
	// neither required nor has a default is empty: "", 0, false or [].
	Required bool `json:"required,omitempty"`
	Default  any  `json:"default,omitempty"`
	// Allowed lists the only values of a String or Number, or of the items of a List.
	Allowed []any `json:"allowed,omitempty"`
	// Minimum and Maximum bound a Number; both are accepted themselves.
	Minimum *json.Number `json:"minimum,omitempty"`
	Maximum *json.Number `json:"maximum,omitempty"`
	// MinLength and MaxLength bound a String, in characters.
	MinLength *json.Number `json:"minLength,omitempty"`
	MaxLength *json.Number `json:"maxLength,omitempty"`
	// MinItems and MaxItems bound a List.
	MinItems *json.Number `json:"minItems,omitempty"`
	MaxItems *json.Number `json:"maxItems,omitempty"`
	// Pattern is a regular expression (RE2) that a String, or every item of a List,
	// matches somewhere; ^ and $ make it match the whole.
	Pattern string `json:"pattern,omitempty"`
}

// constraints lists what may bound the values of each type.
var constraints = map[ParameterType][]string{
	ParameterString:  {"allowed", "minLength", "maxLength", "pattern"},
	ParameterNumber:  {"allowed", "minimum", "maximum"},
	ParameterBoolean: nil,
	ParameterList:    {"allowed", "minItems", "maxItems", "pattern"},
}

// declared maps the constraints that the parameter has to what is wrong with each
// by itself, nil as a rule.
func (p Parameter) declared() map[string]error {
	found := map[string]error{}
	for name, set := range map[string]bool{
		"minimum": p.Minimum != nil, "maximum": p.Maximum != nil, "minLength": p.MinLength != nil, "maxLength": p.MaxLength != nil,
		"minItems": p.MinItems != nil, "maxItems": p.MaxItems != nil,
	} {
		if set {
			found[name] = nil
		}
	}
	if p.Allowed != nil {
		found["allowed"] = nil
		for _, value := range p.Allowed {
			if _, err := p.convertItem(value); err != nil {
				found["allowed"] = err
			}
		}
	}
	if p.Pattern != "" {
		_, found["pattern"] = regexp.Compile(p.Pattern)
	}
	return found
}

// check finds what is wrong with the declaration itself, by the member that is wrong.
func (p Parameter) check() map[string]string {
	wrong := map[string]string{}
	for name, err := range p.declared() {
		switch {
		case !slices.Contains(constraints[p.Type], name):
			wrong[name] = fmt.Sprintf("%s has no meaning for a %s, which takes %s", name, p.Type, strings.Join(constraints[p.Type], ", "))
			if p.Type == ParameterBoolean {
				wrong[name] = fmt.Sprintf("%s has no meaning for a Boolean, which is true or false", name)
			}
		case name == "pattern" && err != nil:
			wrong[name] = fmt.Sprintf("%q is no regular expression: %s", p.Pattern, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		case err != nil:
			wrong[name] = err.Error()
		}
	}
	for _, pair := range []struct {
		least, most string
		low, high   *json.Number
	}{
		{"minimum", "maximum", p.Minimum, p.Maximum}, {"minLength", "maxLength", p.MinLength, p.MaxLength}, {"minItems", "maxItems", p.MinItems, p.MaxItems},
	} {
		if pair.low != nil && pair.high != nil && number(*pair.low) > number(*pair.high) {
			wrong[pair.most] = fmt.Sprintf("%s is less than %s %s", *pair.high, pair.least, *pair.low)
		}
	}
	if p.Default != nil && len(wrong) == 0 {
		if _, err := p.value(p.Default); err != nil {
			wrong["default"] = err.Error()
		}
	}
	return wrong
}

// value converts a value to the parameter's type and demands that the constraints
// hold for it.
func (p Parameter) value(value any) (any, error) {
	converted, err := p.convert(value)
	if err != nil {
		return nil, err
	}
	if !p.holds(converted) {
		return nil, p.refuse(value)
	}
	return converted, nil
}

// holds says whether a value of the parameter's type is within the constraints.
func (p Parameter) holds(value any) bool {
	items := []any{value}
	switch v := value.(type) {
	case json.Number:
		if !within(number(v), p.Minimum, p.Maximum) {
			return false
		}
	case string:
		if !within(float64(utf8.RuneCountInString(v)), p.MinLength, p.MaxLength) {
			return false
		}
	case []any:
		if !within(float64(len(v)), p.MinItems, p.MaxItems) {
			return false
		}
		items = v
	}
	for _, item := range items {
		if p.Allowed != nil && !p.allows(item) {
			return false
		}
		if matched, err := regexp.MatchString(p.Pattern, plainText(item)); !matched || err != nil {
			return false
		}
	}
	return true
}

func (p Parameter) allows(item any) bool {
	return slices.ContainsFunc(p.Allowed, func(allowed any) bool {
		if n, ok := item.(json.Number); ok {
			other, err := p.convertItem(allowed)
			m, isNumber := other.(json.Number)
			return err == nil && isNumber && number(m) == number(n)
		}
		return plainText(allowed) == plainText(item)
	})
}

func within(n float64, low, high *json.Number) bool {
	return (low == nil || n >= number(*low)) && (high == nil || n <= number(*high))
}

func number(n json.Number) float64 {
	f, _ := n.Float64() // convert has refused what is none
	return f
}

// convertItem converts a value that Allowed lists: an item of a List may be anything.
func (p Parameter) convertItem(value any) (any, error) {
	if p.Type == ParameterList {
		return value, nil
	}
	bare := p
	bare.Allowed = nil
	return bare.convert(value)
}

// convert turns a value into the parameter's type. Text is accepted for every
// type, since that is all that a command line can give.
func (p Parameter) convert(value any) (any, error) {
	text, isText := value.(string)
	switch p.Type {
	case ParameterString:
		switch v := value.(type) {
		case nil:
			return "", nil
		case string:
			return v, nil
		}
	case ParameterNumber:
		switch v := value.(type) {
		case nil:
			return json.Number("0"), nil
		case json.Number:
			text, isText = v.String(), true
		case float64:
			return json.Number(strconv.FormatFloat(v, 'g', -1, 64)), nil
		case int:
			return json.Number(strconv.Itoa(v)), nil
		}
		if _, err := strconv.ParseFloat(text, 64); isText && err == nil && json.Valid([]byte(text)) {
			return json.Number(text), nil
		}
	case ParameterBoolean:
		switch value {
		case nil, false, "false":
			return false, nil
		case true, "true":
			return true, nil
		}
	default:
		switch v := value.(type) {
		case nil:
			return []any{}, nil
		case []any:
			return v, nil
		}
		if isText && text == "" {
			return []any{}, nil
		}
		if isText {
			var items []any
			for item := range strings.SplitSeq(text, ",") {
				items = append(items, item)
			}
			return items, nil
		}
	}
	return nil, p.refuse(value)
}

func (p Parameter) refuse(value any) error {
	return fmt.Errorf("parameter %q of type %s cannot be %s; accepted is %s%s", p.Name, p.Type, shown(value), p.accepted(), p.purpose())
}

// purpose is the description as it ends a fault.
func (p Parameter) purpose() string {
	if p.Description == "" {
		return ""
	}
	return " (" + p.Description + ")"
}

// accepted says in words which values are.
func (p Parameter) accepted() string {
	each := ""
	if p.Type == ParameterList {
		each = "each "
	}
	var words string
	switch p.Type {
	case ParameterString:
		words = "text in quotes"
		if bounds := span(p.MinLength, p.MaxLength); bounds != "" {
			words = "text of " + bounds + " characters"
		}
	case ParameterNumber:
		words = "a number such as 3 or 0.5"
		if bounds := span(p.Minimum, p.Maximum); bounds != "" {
			words = "a number, " + bounds
		}
	case ParameterBoolean:
		return "true or false"
	default:
		words = "a list, or text with commas such as a,b"
		if bounds := span(p.MinItems, p.MaxItems); bounds != "" {
			words = "a list of " + bounds + " items, or text with commas such as a,b"
		}
	}
	switch {
	case p.Allowed != nil && each == "":
		words = "one of " + list(p.Allowed)
	case p.Allowed != nil:
		words += ", each one of " + list(p.Allowed)
	}
	if p.Pattern != "" {
		words += ", " + each + "matching " + p.Pattern
	}
	return words
}

// span is a range in words: "1 to 10", "at least 1", "at most 10", or nothing.
func span(low, high *json.Number) string {
	switch {
	case low != nil && high != nil:
		return fmt.Sprintf("%s to %s", *low, *high)
	case low != nil:
		return fmt.Sprintf("at least %s", *low)
	case high != nil:
		return fmt.Sprintf("at most %s", *high)
	}
	return ""
}
