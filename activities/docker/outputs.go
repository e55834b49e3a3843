package docker

import (
	"fmt"
	"strconv"
	"strings"

	"windlass/activities"
	"windlass/plan"
	"windlass/schemas"
)

// Outputs implements activities.Provider.
func (p *Provider) Outputs(declared plan.Desired) (schemas.Outputs, error) {
	switch declared.Type {
	case schemas.TypeNetwork, schemas.TypeStorage:
		return schemas.Outputs{"name": objectName(declared.Target)}, nil
	case schemas.TypeCompute:
		compute, err := decode[schemas.Compute](declared)
		if err != nil {
			return nil, err
		}
		port := ""
		if len(compute.Ports) > 0 {
			port = strconv.Itoa(compute.Ports[0].ContainerPort)
		}
		return schemas.Outputs{"name": declared.Resource, "host": declared.Resource, "port": port}, nil
	case schemas.TypeDatabase:
		database, err := decode[schemas.Database](declared)
		if err != nil {
			return nil, err
		}
		return databaseOutputs(declared.Resource, database), nil
	default:
		return nil, &activities.Fault{Kind: activities.Invalid, Resource: declared.Resource, Field: "type",
			Message: fmt.Sprintf("the Docker provider has no type %q", declared.Type),
			Hint:    "use Network, Storage, Compute or Database"}
	}
}

func databaseOutputs(resource string, d schemas.Database) schemas.Outputs {
	name, user := databaseNames(resource, d)
	password := generatedPassword(resource)
	return schemas.Outputs{
		"name":     name,
		"host":     resource,
		"port":     strconv.Itoa(postgresPort),
		"user":     user,
		"password": password,
		"url":      fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable", user, password, resource, postgresPort, name),
	}
}

// databaseNames are the names of the database and of its user.
func databaseNames(resource string, d schemas.Database) (name, user string) {
	name = d.Name
	if name == "" {
		name = strings.ReplaceAll(resource, "-", "_")
	}
	user = d.User
	if user == "" {
		user = name
	}
	return name, user
}

// generatedPassword is the placeholder of a Database's password.
func generatedPassword(resource string) string {
	return schemas.Reference{Namespace: schemas.NamespaceGenerated, Name: resource + ".password"}.String()
}

// decode reads the properties of a resource.
func decode[T schemas.Network | schemas.Storage | schemas.Compute | schemas.Database](d plan.Desired) (T, error) {
	v, err := schemas.Decode[T](d.Declaration())
	if err != nil {
		return v, &activities.Fault{Kind: activities.Invalid, Resource: d.Resource, Field: "properties", Message: err.Error(), Err: err}
	}
	return v, nil
}
