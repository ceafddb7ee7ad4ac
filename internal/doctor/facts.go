package doctor

// Plan is what is to be deployed, or is, as the stack's settings have it.
type Plan struct {
	Stage string
	// Region is where; MailRegion is where mails leave, empty for the same.
	Region, MailRegion string
	// MailFrom is the sender's address, without a name; empty leaves it unchecked. MailIdentity says what the
	// stack makes for it: a domain, an address, or nothing, which is called existing.
	MailFrom     string
	MailIdentity string
	// Account is how many runs at once the stack counts on in the account; 0 for what the settings leave it at.
	Account int
	// Reserved is the concurrency that is set aside for the function deliver; 0 for none.
	Reserved int
}

// StackName is the name of the stack.
func (p Plan) StackName() string { return "auditrelay-" + p.Stage }

// Answer is what the account answered to one question: a value, or why there is none.
type Answer[T any] struct {
	Value T
	// Denied is the action that the caller may not use; empty if it may.
	Denied string
	// Err is any other reason.
	Err error
}

// Facts is what was seen of an account. A resource that does not exist is a zero value, not an error.
type Facts struct {
	Caller      Answer[Caller]
	Stack       Answer[Stack]
	Bootstrap   Answer[int] // the version of CDK's bootstrap stack; 0 if there is none
	Concurrency Answer[Concurrency]
	Mail        Answer[Mail]
	Sender      Answer[Sender]
	// Names are resources that have the names which the stack gives to its own.
	Names Answer[[]Resource]
}

// Caller is who asks.
type Caller struct {
	Account string
	ARN     string
}

// Stack is the stack as CloudFormation has it.
type Stack struct {
	// Status is CloudFormation's, such as CREATE_COMPLETE; empty if there is no stack.
	Status  string
	Outputs map[string]string
	// Resources are the physical ids by type.
	Resources map[string][]string
}

// Deployed says that a deploy has come to its end.
func (s Stack) Deployed() bool {
	switch s.Status {
	case "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE":
		return true
	}
	return false
}

// Concurrency is how many invocations the account may have at once in the region.
type Concurrency struct {
	Limit int
	// Unreserved is what no function has set aside.
	Unreserved int
}

// Mail is the account's state in SES.
type Mail struct {
	// Production is false in the sandbox.
	Production bool
	Sending    bool
	// Enforcement is HEALTHY, PROBATION or SHUTDOWN.
	Enforcement string
	PerDay      float64
	PerSecond   float64
}

// Sender is what SES knows of the sender: of its address, and of its domain or the nearest one above it that is an
// identity.
type Sender struct {
	Domain, Address Identity
}

// Identity is an identity in SES.
type Identity struct {
	// Name is empty for one that does not exist.
	Name             string
	Exists, Verified bool
}

// Resource is something that exists.
type Resource struct {
	// Kind is what it is, in words: schedule group, event bus.
	Kind, Name string
	// Remove is the command that removes it.
	Remove string
}
