package activities

import (
	"strconv"
	"strings"
	"time"

	"windlass/plan"
)

// The labels that every provider puts on every object that it makes. Reality is
// the state: these labels are how objects are found again, and an object without
// them is never touched. Keys that start with LabelPrefix belong to Windlass;
// labels from a document may not use them.
const (
	LabelPrefix         = "io.windlass."
	LabelEnvironment    = LabelPrefix + "environment"
	LabelInfrastructure = LabelPrefix + "infrastructure"
	LabelResource       = LabelPrefix + "resource"
	LabelType           = LabelPrefix + "type"
	// LabelProvider is the provider's name, so that two providers that reach the
	// same place do not take each other's objects for their own.
	LabelProvider = LabelPrefix + "provider"
	// LabelReplica is the index of a replica, from 0; other objects lack it.
	LabelReplica = LabelPrefix + "replica"
	// LabelStep is the name of the init step that a container runs for that replica;
	// replicas lack it.
	LabelStep = LabelPrefix + "step"
	// LabelReplicas is how many replicas were declared, so that one that is gone is missed.
	LabelReplicas = LabelPrefix + "replicas"
	// LabelRevision is the revision that made the object.
	LabelRevision = LabelPrefix + "revision"
	// LabelSpec is the spec hash of the declaration that made the object.
	LabelSpec = LabelPrefix + "spec"
	// LabelProperties are the properties of that declaration as a JSON object, with
	// the placeholders of secrets, so that a plan can say what changes.
	LabelProperties = LabelPrefix + "properties"
	// LabelRetention is what becomes of a volume that is no longer declared.
	LabelRetention = LabelPrefix + "retention"
	// LabelAdopts names what exists and was taken over. What carries it stands for that,
	// which has no labels of Windlass.
	LabelAdopts = LabelPrefix + "adopts"
	// LabelTag begins the keys of tags.
	LabelTag = LabelPrefix + "tag."
	// LabelDeleteTimeout is how long the deletion may take, such as "1m0s".
	LabelDeleteTimeout = LabelPrefix + "deletetimeout"
	// LabelProtect is "true" on what was protected when it was made. What is recorded
	// goes before it.
	LabelProtect = LabelPrefix + "protect"
	// LabelDependsOn names the resources that must be ready first, separated by commas.
	LabelDependsOn = LabelPrefix + "dependson"
	// LabelOutputs are the outputs of the resource as a JSON object. Where a
	// secret belongs they hold its placeholder.
	LabelOutputs = LabelPrefix + "outputs"
	// LabelHealth is the health check as a JSON object, for the checks that the
	// provider runs itself.
	LabelHealth = LabelPrefix + "health"
	// LabelEndState is what a replica must reach to be as it should be.
	LabelEndState = LabelPrefix + "endstate"
	// LabelSettings are the limits and the restart policy that a replica was made
	// with, so that a change by hand is seen.
	LabelSettings = LabelPrefix + "settings"
	// LabelNetworks names the networks that a replica joins, separated by commas.
	LabelNetworks = LabelPrefix + "networks"
	// LabelTarget names the Compute that a container of a LoadBalancer passes requests to.
	LabelTarget = LabelPrefix + "target"
	// LabelProxy is the version of the proxy that a LoadBalancer runs: the beginning of
	// the hash of its binary.
	LabelProxy = LabelPrefix + "proxy"
	// LabelSecurityGroups names the security groups of a container, separated by commas.
	LabelSecurityGroups = LabelPrefix + "securitygroups"
)

// IdentityLabels are the labels that decide whom an object belongs to.
func IdentityLabels(t plan.Target) map[string]string {
	return map[string]string{
		LabelEnvironment:    t.Environment,
		LabelInfrastructure: t.Infrastructure,
		LabelResource:       t.Resource,
		LabelType:           string(t.Type),
		LabelProvider:       t.Provider,
	}
}

// DeclarationLabels are the identity labels together with those that say which
// declaration made the object.
func DeclarationLabels(d plan.Desired) map[string]string {
	labels := IdentityLabels(d.Target)
	labels[LabelRevision] = strconv.Itoa(d.Revision)
	labels[LabelSpec] = d.SpecHash
	labels[LabelProperties] = string(d.Properties)
	labels[LabelDependsOn] = strings.Join(d.DependsOn, ",")
	for key, value := range d.Tags {
		labels[LabelTag+key] = value
	}
	if d.Timeouts.Delete > 0 {
		labels[LabelDeleteTimeout] = time.Duration(d.Timeouts.Delete).String()
	}
	if d.Protect {
		labels[LabelProtect] = "true"
	}
	return labels
}
