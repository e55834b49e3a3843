package schemas_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"windlass/schemas"
)

const guarded = `apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: users}
spec:
  environment: staging
  resources:
    - {name: backend, type: Network, properties: {subnet: 10.40.0.0/24}}
    - {name: other-net, type: Network}
    - name: web-access
      type: SecurityGroup
      properties:
        ingress:
          - {protocol: TCP, fromPort: 8080, toPort: 8090, sources: [{cidr: 10.0.0.0/8}, {resource: gateway}, {group: db-access}]}
          - {protocol: ICMP}
        egress:
          - {protocol: TCP, fromPort: 5432, targets: [{resource: users-db}]}
    - name: db-access
      type: SecurityGroup
      properties:
        ingress:
          - {protocol: Any, sources: [{group: web-access}, {group: db-access}]}
    - name: users-db
      type: Database
      properties: {engine: postgres, version: "15", networks: ["${backend.name}"], securityGroups: ["${db-access.name}"]}
    - name: gateway
      type: Compute
      properties: {image: a, networks: ["${backend.name}"]}
    - name: web
      type: Compute
      properties: {image: a, networks: ["${backend.name}"], securityGroups: ["${web-access.name}"]}
`

func TestSecurityGroupsAreReadAndNameEachOtherWithoutACycle(t *testing.T) {
	document, err := schemas.Parse([]byte(guarded), nil)
	require.NoError(t, err)
	group, err := schemas.Decode[schemas.SecurityGroup](*document.Resource("web-access"))
	require.NoError(t, err)
	require.Equal(t, schemas.SecurityGroup{
		Ingress: []schemas.IngressRule{
			{Traffic: schemas.Traffic{Protocol: schemas.ProtocolTCP, FromPort: 8080, ToPort: 8090}, Sources: []schemas.Peer{{CIDR: "10.0.0.0/8"}, {Resource: "gateway"}, {Group: "db-access"}}},
			{Traffic: schemas.Traffic{Protocol: schemas.ProtocolICMP}},
		},
		Egress: []schemas.EgressRule{{Traffic: schemas.Traffic{Protocol: schemas.ProtocolTCP, FromPort: 5432}, Targets: []schemas.Peer{{Resource: "users-db"}}}},
	}, group)
	require.Equal(t, 5432, group.Egress[0].WithDefaults().ToPort)

	dependencies, err := document.Resource("web").Dependencies()
	require.NoError(t, err)
	require.Equal(t, []string{"backend", "web-access"}, dependencies)
	dependencies, err = document.Resource("web-access").Dependencies()
	require.NoError(t, err)
	require.Empty(t, dependencies)
}

func TestRulesInANestedTemplateNameItsResources(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(strings.Replace(guarded, "kind: Infrastructure", "kind: Template", 1)), "\n")
	document, err := schemas.Parse([]byte(`apiVersion: windlass/v1
kind: Infrastructure
metadata: {name: users}
spec:
  environment: staging
  resources:
    - name: inner
      type: Template
      properties:
        template:
          `+strings.Join(lines, "\n          ")), nil)
	require.NoError(t, err)
	group, err := schemas.Decode[schemas.SecurityGroup](*document.Resource("inner-web-access"))
	require.NoError(t, err)
	require.Equal(t, []schemas.Peer{{CIDR: "10.0.0.0/8"}, {Resource: "inner-gateway"}, {Group: "inner-db-access"}}, group.Ingress[0].Sources)
	require.Equal(t, []schemas.Peer{{Resource: "inner-users-db"}}, group.Egress[0].Targets)
}

func TestFaultsOfSecurityGroupsNameFieldLineAndReason(t *testing.T) {
	const rule, web = "spec.resources[2].properties.ingress[0]", "spec.resources[6].properties.securityGroups"
	for name, test := range map[string]struct {
		old, with, field, reason string
		line                     int
	}{
		"a protocol that is none":          {"protocol: TCP, fromPort: 8080", "protocol: SCTP, fromPort: 8080", rule + ".protocol", `"SCTP" is not accepted; accepted are "TCP", "UDP", "ICMP", "Any"`, 13},
		"no protocol":                      {"{protocol: ICMP}", "{sources: [{cidr: 10.0.0.0/8}]}", "spec.resources[2].properties.ingress[1]", `"protocol" is missing`, 14},
		"a port that is none":              {"toPort: 8090", "toPort: 70000", rule + ".toPort", "70000 is too large; at most 65535 is accepted", 13},
		"a port of ICMP":                   {"{protocol: ICMP}", "{protocol: ICMP, fromPort: 8}", "spec.resources[2].properties.ingress[1].fromPort", "is 8, but ICMP has no ports; leave it out, or set protocol to TCP or UDP", 14},
		"a last port of every protocol":    {"{protocol: ICMP}", "{protocol: Any, toPort: 8}", "spec.resources[2].properties.ingress[1].toPort", "is 8, but Any has no ports", 14},
		"a last port without a first":      {"fromPort: 8080, toPort: 8090", "toPort: 8090", rule + ".toPort", "is 8090 without a fromPort; set fromPort to the first port", 13},
		"ports the wrong way round":        {"toPort: 8090", "toPort: 80", rule + ".toPort", "is 80, which is before fromPort 8080; a port from 8080 to 65535 is accepted", 13},
		"no sources at all":                {"sources: [{cidr: 10.0.0.0/8}, {resource: gateway}, {group: db-access}]", "sources: []", rule + ".sources", "has 0 entries; at least 1 are expected", 13},
		"targets of ingress":               {"sources: [{cidr: 10.0.0.0/8}, {resource: gateway}, {group: db-access}]", "targets: [{cidr: 10.0.0.0/8}]", rule + ".targets", "unknown field; accepted are fromPort, protocol, sources, toPort", 13},
		"a source of two kinds":            {"{cidr: 10.0.0.0/8}", "{cidr: 10.0.0.0/8, resource: gateway}", rule + ".sources[0]", "has 2 of cidr, resource and group; exactly one is expected", 13},
		"a source of no kind":              {"{cidr: 10.0.0.0/8}", "{}", rule + ".sources[0]", "has 0 of cidr, resource and group; exactly one is expected", 13},
		"an address instead of a subnet":   {"{cidr: 10.0.0.0/8}", "{cidr: 10.0.0.7}", rule + ".sources[0].cidr", "a subnet in CIDR form", 13},
		"a subnet with bits of an address": {"{cidr: 10.0.0.0/8}", "{cidr: 10.0.0.7/8}", rule + ".sources[0].cidr", "write 10.0.0.0/8 for the subnet or 10.0.0.7/32 for the address", 13},
		"a subnet of IPv6":                 {"{cidr: 10.0.0.0/8}", `{cidr: "fd00::/8"}`, rule + ".sources[0].cidr", `"fd00::/8" is not accepted; an IPv4 subnet such as 10.0.0.0/8 is expected`, 13},
		"a source that is not declared":    {"{resource: gateway}", "{resource: gate}", rule + ".sources[1].resource", `"gate" is no resource of this document; declared are backend, other-net`, 13},
		"a source without addresses":       {"{resource: gateway}", "{resource: backend}", rule + ".sources[1].resource", `"backend" is a Network; a Compute, Database or LoadBalancer is expected`, 13},
		"a group that is no group":         {"{group: db-access}]}\n          - {protocol: ICMP}", "{group: gateway}]}", rule + ".sources[2].group", `"gateway" is a Compute; a SecurityGroup is expected`, 13},
		"a source elsewhere":               {"name: gateway\n      type: Compute", "name: gateway\n      provider: far\n      type: Compute", rule + ".sources[1].resource", `"gateway" is of provider far, but the group is of provider docker`, 13},
		"a source that moves": {`{image: a, networks: ["${backend.name}"]}`, `{image: a, networks: ["${other-net.name}"]}`, rule + ".sources[1].resource",
			`"gateway" is named by a security group, and so needs addresses that stay, but Network "other-net" has no IPv4 subnet; declare one in its properties, such as subnet: 10.40.0.0/24`, 13},
		"a target that moves": {`version: "15", networks: ["${backend.name}"]`, `version: "15"`, "spec.resources[2].properties.egress[0].targets[0].resource",
			`"users-db" is named by a security group, and so needs addresses that stay, but it is on no network`, 16},
		"a group by its plain name":         {`securityGroups: ["${web-access.name}"]`, "securityGroups: [web-access]", web + "[0]", `"web-access" is not accepted; a reference to a SecurityGroup such as ${web-access.name} is expected`, 30},
		"a group that is not declared":      {`securityGroups: ["${web-access.name}"]`, `securityGroups: ["${door.name}"]`, web + "[0]", `"door" is no resource of this document`, 30},
		"a resource instead of a group":     {`securityGroups: ["${web-access.name}"]`, `securityGroups: ["${gateway.name}"]`, web + "[0]", `"gateway" is a Compute; a reference to a SecurityGroup is expected`, 30},
		"a group elsewhere":                 {"name: web\n", "name: web\n      provider: far\n", web + "[0]", `"web-access" is of provider docker, but the resource is of provider far`, 31},
		"a guarded resource on no network":  {`networks: ["${backend.name}"], securityGroups: ["${web`, `securityGroups: ["${web`, web, "a resource with security groups needs addresses that stay, but it is on no network; give it one with networks, a reference to a Network of this document with a subnet", 30},
		"a guarded resource on a found one": {`networks: ["${backend.name}"], securityGroups: ["${web`, `networks: [bridge], securityGroups: ["${web`, web, `network "bridge" is no Network of this document; refer to one with a subnet`, 30},
		"a guarded resource that moves":     {`networks: ["${backend.name}"], securityGroups: ["${web`, `networks: ["${backend.name}", "${other-net.name}"], securityGroups: ["${web`, web, `Network "other-net" has no IPv4 subnet`, 30},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, guarded, test.old)
			_, err := schemas.Parse([]byte(strings.Replace(guarded, test.old, test.with, 1)), nil)
			var faults schemas.Faults
			require.ErrorAs(t, err, &faults)
			require.Equal(t, test.field, faults[0].Field, faults.Error())
			require.Contains(t, faults[0].Reason, test.reason)
			require.Equal(t, test.line, faults[0].Line, faults.Error())
		})
	}
}
