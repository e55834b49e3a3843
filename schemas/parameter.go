package schemas

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
	Name        string        `json:"name"`
	Type        ParameterType `json:"type"`
	Description string        `json:"description,omitempty"`
	// Required refuses a deployment that gives no value. A parameter that is
	// neither required nor has a default is empty: "", 0, false or [].
	Required bool `json:"required,omitempty"`
	Default  any  `json:"default,omitempty"`
}
