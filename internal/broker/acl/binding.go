package acl

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Principal is who a client is, as bindings name it: a type, a colon, a name. The broker makes only users.
type Principal string

const (
	// Anonymous is a client that did not say who it is.
	Anonymous Principal = "User:ANONYMOUS"
	// Everyone stands in a binding for all users.
	Everyone Principal = "User:*"
)

// UserPrincipal is the principal of a user.
func UserPrincipal(name string) Principal { return Principal("User:" + name) }

// Name is the principal without its type, as quotas name users.
func (p Principal) Name() string { return strings.TrimPrefix(string(p), "User:") }

// Names that mean more than themselves.
const (
	ClusterName = "kafka-cluster" // of the only resource of type cluster
	wildcard    = "*"             // any name, any host

	maxNameBytes = 1024 // of anything that a binding names
)

// Resource is one thing that a client acts on.
type Resource struct {
	Type kmsg.ACLResourceType
	Name string
}

// Topic is the resource of a topic.
func Topic(name string) Resource { return Resource{kmsg.ACLResourceTypeTopic, name} }

// Group is the resource of a consumer group.
func Group(name string) Resource { return Resource{kmsg.ACLResourceTypeGroup, name} }

// TransactionalID is the resource of a transactional id.
func TransactionalID(id string) Resource { return Resource{kmsg.ACLResourceTypeTransactionalId, id} }

// Cluster is the resource that stands for the broker as a whole.
func Cluster() Resource { return Resource{kmsg.ACLResourceTypeCluster, ClusterName} }

// Binding is one line of access control: whoever acts as Principal from Host may, or may not, do Operation on the
// resources that Type, Pattern and Name select.
type Binding struct {
	Type       kmsg.ACLResourceType        `json:"type"`
	Pattern    kmsg.ACLResourcePatternType `json:"pattern"` // literal or prefixed
	Name       string                      `json:"name"`    // "*", literal: every name
	Principal  Principal                   `json:"principal"`
	Host       string                      `json:"host"` // an address, or "*"
	Operation  kmsg.ACLOperation           `json:"operation"`
	Permission kmsg.ACLPermissionType      `json:"permission"`
}

// String tells the binding the way a person would.
func (b Binding) String() string {
	return fmt.Sprintf("%v %v from %q %v on %v %v %q", b.Permission, b.Principal, b.Host, b.Operation, b.Pattern, b.Type, b.Name)
}

func (b Binding) compare(o Binding) int {
	return cmp.Or(cmp.Compare(b.Type, o.Type), cmp.Compare(b.Name, o.Name), cmp.Compare(b.Pattern, o.Pattern),
		cmp.Compare(b.Principal, o.Principal), cmp.Compare(b.Host, o.Host), cmp.Compare(b.Operation, o.Operation),
		cmp.Compare(b.Permission, o.Permission))
}

// check tells why a binding cannot be.
func (b Binding) check() error {
	kind, name, ok := strings.Cut(string(b.Principal), ":")
	switch {
	case operationsOf(b.Type) == nil:
		return fmt.Errorf("resource type %v cannot be bound", b.Type)
	case b.Name == "" || len(b.Name) > maxNameBytes:
		return fmt.Errorf("a resource name must have 1 to %d bytes", maxNameBytes)
	case b.Type == kmsg.ACLResourceTypeCluster && b.Name != ClusterName:
		return fmt.Errorf("the resource of type cluster is named %s", ClusterName)
	case b.Pattern != kmsg.ACLResourcePatternTypeLiteral && b.Pattern != kmsg.ACLResourcePatternTypePrefixed:
		return fmt.Errorf("pattern type %v cannot be bound", b.Pattern)
	case !ok || kind == "" || name == "" || len(b.Principal) > maxNameBytes:
		return errors.New("a principal is a type, a colon and a name")
	case b.Host == "" || len(b.Host) > maxNameBytes:
		return errors.New("a host is an address or *")
	case b.Permission != kmsg.ACLPermissionTypeAllow && b.Permission != kmsg.ACLPermissionTypeDeny:
		return fmt.Errorf("permission %v cannot be bound", b.Permission)
	}
	return b.checkOperation()
}

func (b Binding) checkOperation() error {
	if b.Operation == kmsg.ACLOperationAll || slices.Contains(operationsOf(b.Type), b.Operation) {
		return nil
	}
	return fmt.Errorf("operation %v means nothing on resource type %v", b.Operation, b.Type)
}

// operationsOf lists what can be done to a resource of this type; nil for types that no binding may name.
func operationsOf(t kmsg.ACLResourceType) []kmsg.ACLOperation {
	switch t {
	case kmsg.ACLResourceTypeTopic:
		return []kmsg.ACLOperation{kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationCreate, kmsg.ACLOperationDelete,
			kmsg.ACLOperationAlter, kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs}
	case kmsg.ACLResourceTypeGroup:
		return []kmsg.ACLOperation{kmsg.ACLOperationRead, kmsg.ACLOperationDescribe, kmsg.ACLOperationDelete,
			kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs}
	case kmsg.ACLResourceTypeCluster:
		return []kmsg.ACLOperation{kmsg.ACLOperationCreate, kmsg.ACLOperationAlter, kmsg.ACLOperationDescribe,
			kmsg.ACLOperationClusterAction, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs,
			kmsg.ACLOperationIdempotentWrite}
	case kmsg.ACLResourceTypeTransactionalId:
		return []kmsg.ACLOperation{kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe}
	case kmsg.ACLResourceTypeDelegationToken:
		return []kmsg.ACLOperation{kmsg.ACLOperationDescribe}
	case kmsg.ACLResourceTypeUser:
		return []kmsg.ACLOperation{kmsg.ACLOperationCreateTokens, kmsg.ACLOperationDescribeTokens}
	}
	return nil
}
