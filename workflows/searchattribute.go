package workflows

import (
	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
)

// The search attributes by which runs are found.
var (
	AttributeEnvironment    = temporal.NewSearchAttributeKeyKeyword("WindlassEnvironment")
	AttributeInfrastructure = temporal.NewSearchAttributeKeyKeyword("WindlassInfrastructure")
	AttributeRevision       = temporal.NewSearchAttributeKeyInt64("WindlassRevision")
	AttributeStatus         = temporal.NewSearchAttributeKeyKeyword("WindlassStatus")
)

// SearchAttributes are the custom search attributes that a namespace needs, by name.
func SearchAttributes() map[string]enums.IndexedValueType {
	return map[string]enums.IndexedValueType{
		AttributeEnvironment.GetName():    enums.INDEXED_VALUE_TYPE_KEYWORD,
		AttributeInfrastructure.GetName(): enums.INDEXED_VALUE_TYPE_KEYWORD,
		AttributeRevision.GetName():       enums.INDEXED_VALUE_TYPE_INT,
		AttributeStatus.GetName():         enums.INDEXED_VALUE_TYPE_KEYWORD,
	}
}
