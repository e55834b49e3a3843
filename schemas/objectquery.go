package schemas

import (
	"encoding/json"
	"strings"
	"time"
)

// Objects of the Kubernetes API are read and changed by NATS request on subjects of
// their own, which name the provider and the verb, so that a right can be given for
// each of them. What is said of questions holds for them too; beside those there are the
// codes 401 and 403 when the cluster refuses, 409 when there is a conflict, 413 for an
// object that NATS does not take, 422 for an object that the cluster does not accept, and
// 429 when it wants to be asked less often.
const objectRoot = "windlass.objects."

// ObjectSubjects are all subjects of objects, for whoever answers.
const ObjectSubjects = objectRoot + "*.*"

// ObjectVerb is what is done to objects.
type ObjectVerb string

const (
	// ObjectGet takes an ObjectReference and answers with an ObjectAnswer.
	ObjectGet ObjectVerb = "get"
	// ObjectList takes an ObjectListRequest and answers with an ObjectListAnswer.
	ObjectList ObjectVerb = "list"
	// ObjectCreate, ObjectUpdate and ObjectApply take an ObjectWriteRequest and answer
	// with an ObjectAnswer. Create makes one that is not there, update replaces one that
	// is, and apply does either by server-side apply.
	ObjectCreate ObjectVerb = "create"
	ObjectUpdate ObjectVerb = "update"
	ObjectApply  ObjectVerb = "apply"
	// ObjectDelete takes an ObjectDeleteRequest and answers with an ObjectAnswer.
	ObjectDelete ObjectVerb = "delete"
)

// ObjectSubject is where a provider's objects are asked for, or changed.
func ObjectSubject(provider string, verb ObjectVerb) string {
	return objectRoot + provider + "." + string(verb)
}

// ParseObjectSubject is what ObjectSubject was given.
func ParseObjectSubject(subject string) (provider string, verb ObjectVerb) {
	provider, rest, _ := strings.Cut(strings.TrimPrefix(subject, objectRoot), ".")
	return provider, ObjectVerb(rest)
}

// ObjectReference names one object of the Kubernetes API.
type ObjectReference struct {
	// Kind is what people call it: a kind, the plural or the short name, where that is
	// not enough with the group, such as Deployment, deployments, deploy or deployments.apps.
	Kind string `json:"kind"`
	// Namespace is "default" when it is empty; objects that are in none do not use it.
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// ObjectListRequest asks for objects of one kind, in the order of namespace and name.
type ObjectListRequest struct {
	// Kind is as in ObjectReference.
	Kind string `json:"kind"`
	// Namespace is empty for all.
	Namespace string `json:"namespace,omitempty"`
	// Selector is a label selector, such as "app=web,tier!=cache".
	Selector string `json:"selector,omitempty"`
	// Limit is the most objects of one answer; the default and the most is MaxObjects.
	Limit int `json:"limit,omitempty"`
	// Continue is that of the answer before, for the next page.
	Continue string `json:"continue,omitempty"`
}

// MaxObjects bounds the objects of one answer, so that it fits in a NATS message.
const MaxObjects = 500

// ObjectListAnswer is one page of a list.
type ObjectListAnswer struct {
	Objects []ObjectSummary `json:"objects"`
	// Continue asks for the next page; empty where this is the last.
	Continue string `json:"continue,omitempty"`
}

// ObjectSummary is an object in a list.
type ObjectSummary struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	ObjectCondition
	Created time.Time `json:"created,omitzero"`
}

// ObjectCondition is how an object is, by the rules of kstatus.
type ObjectCondition struct {
	Ready bool `json:"ready"`
	// Waits says in words what an object that is not ready waits for, in at most
	// MaxObjectWords characters.
	Waits string `json:"waits,omitempty"`
}

// MaxObjectWords bounds what is said of an object in a list.
const MaxObjectWords = 300

// ObjectWriteRequest is an object to create, update or apply.
type ObjectWriteRequest struct {
	Object json.RawMessage `json:"object"`
	// Namespace is that of an object that should be in one and names none; the default is
	// "default".
	Namespace string `json:"namespace,omitempty"`
	// Force takes what belongs to somebody else: fields of other field managers, and
	// objects of an Infrastructure.
	Force bool `json:"force,omitempty"`
	// DryRun has the server say what it would do, and changes nothing.
	DryRun bool `json:"dryRun,omitempty"`
}

// ObjectDeleteRequest is an object to delete.
type ObjectDeleteRequest struct {
	ObjectReference
	// Cascade is background (the default), foreground or orphan: what becomes of the
	// objects that this one owns.
	Cascade string `json:"cascade,omitempty"`
	// Force and DryRun are as in ObjectWriteRequest.
	Force  bool `json:"force,omitempty"`
	DryRun bool `json:"dryRun,omitempty"`
}

// ObjectOutcome is what became of a change.
type ObjectOutcome string

// The outcomes. ObjectDeleting is an object that goes once its grace period and its
// finalizers are over.
const (
	ObjectCreated   ObjectOutcome = "created"
	ObjectUpdated   ObjectOutcome = "updated"
	ObjectUnchanged ObjectOutcome = "unchanged"
	ObjectDeleted   ObjectOutcome = "deleted"
	ObjectDeleting  ObjectOutcome = "deleting"
)

// ObjectAnswer is an object as the server has it now, or had it before it was deleted,
// without what only concerns field managers. The values of a Secret are left out.
type ObjectAnswer struct {
	Object json.RawMessage `json:"object,omitempty"`
	// Outcome is set where something was changed.
	Outcome ObjectOutcome `json:"outcome,omitempty"`
	ObjectCondition
}
