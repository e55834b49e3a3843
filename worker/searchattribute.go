package worker

import (
	"context"
	"errors"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"windlass/workflows"
)

// SearchAttributes are the custom search attributes that workflows set, by name.
func SearchAttributes() map[string]enums.IndexedValueType {
	return map[string]enums.IndexedValueType{
		workflows.AttributeEnvironment.GetName():    enums.INDEXED_VALUE_TYPE_KEYWORD,
		workflows.AttributeInfrastructure.GetName(): enums.INDEXED_VALUE_TYPE_KEYWORD,
		workflows.AttributeRevision.GetName():       enums.INDEXED_VALUE_TYPE_INT,
		workflows.AttributeStatus.GetName():         enums.INDEXED_VALUE_TYPE_KEYWORD,
	}
}

// ensureSearchAttributes adds the search attributes that the namespace lacks.
func ensureSearchAttributes(ctx context.Context, temporal client.Client, namespace string) error {
	operator := temporal.OperatorService()
	known, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return err
	}
	missing := SearchAttributes()
	for name := range known.CustomAttributes {
		delete(missing, name)
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
	var exists *serviceerror.AlreadyExists
	if errors.As(err, &exists) {
		return nil // another worker was faster
	}
	return err
}
