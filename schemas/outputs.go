package schemas

// Outputs are the values that a resource offers to others as ${resource.output}.
// A value never holds a secret; where one belongs it holds a placeholder such as
// ${generated.users-db.password}, which an activity replaces at the last moment.
type Outputs map[string]string

// OutputNames lists, for each type, the outputs that a reference may name.
var OutputNames = map[ResourceType][]string{
	TypeNetwork:       {"name"},
	TypeStorage:       {"name"},
	TypeCompute:       {"name", "host", "port"},
	TypeDatabase:      {"name", "host", "port", "user", "password", "url"},
	TypeLoadBalancer:  {"name", "host", "port", "url", "address"},
	TypeSecurityGroup: {"name"},
	TypeKubernetes:    {"name", "namespace"},
}
