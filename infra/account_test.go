package infra

import (
	"fmt"
	"maps"
	"slices"
)

// nameOf says in which property a type's resources can be given a name that must be free in the account and region
// (CloudFormation Template Reference, the page of each type). Empty is for types that have none.
func nameOf() map[string]string {
	return map[string]string{
		"AWS::ApiGateway::Deployment":     "",
		"AWS::ApiGateway::Method":         "",
		"AWS::ApiGateway::Resource":       "",
		"AWS::ApiGateway::RestApi":        "", // it has a name, which others may have
		"AWS::ApiGateway::Stage":          "", // its name is one of its API
		"AWS::CloudWatch::Alarm":          "AlarmName",
		"AWS::CloudWatch::Dashboard":      "DashboardName",
		"AWS::DynamoDB::Table":            "TableName",
		"AWS::Events::EventBus":           "Name",
		"AWS::Events::Rule":               "Name",
		"AWS::IAM::ManagedPolicy":         "ManagedPolicyName",
		"AWS::IAM::Role":                  "RoleName",
		"AWS::KMS::Alias":                 "AliasName",
		"AWS::KMS::Key":                   "",
		"AWS::Lambda::EventInvokeConfig":  "",
		"AWS::Lambda::EventSourceMapping": "",
		"AWS::Lambda::Function":           "FunctionName",
		"AWS::Lambda::Permission":         "",
		"AWS::Lambda::Url":                "",
		"AWS::Logs::LogGroup":             "LogGroupName",
		"AWS::Logs::QueryDefinition":      "Name",
		"AWS::S3::Bucket":                 "BucketName",
		"AWS::S3::BucketPolicy":           "",
		"AWS::SES::ConfigurationSet":      "Name",
		"AWS::SES::EmailIdentity":         "EmailIdentity",
		"AWS::SNS::Subscription":          "",
		"AWS::SNS::Topic":                 "TopicName",
		"AWS::SNS::TopicPolicy":           "",
		"AWS::SQS::Queue":                 "QueueName",
		"AWS::SQS::QueuePolicy":           "",
		"AWS::Scheduler::ScheduleGroup":   "Name",
	}
}

// unchangeable are the properties whose change has CloudFormation replace a resource, of the types that hold data or
// have an address that others know.
func unchangeable() map[string][]string {
	return map[string][]string{
		"AWS::DynamoDB::Table": {"KeySchema", "TableName"},
		"AWS::KMS::Key":        {"KeySpec", "MultiRegion"},
		"AWS::S3::Bucket":      {"BucketName", "BucketNamePrefix"},
		"AWS::SQS::Queue":      {"FifoQueue", "QueueName"},
	}
}

// account is an account and region as CloudFormation meets it: the names that are taken.
type account map[string]bool

// fixed is the name that a template gives a resource, with its type; empty where CloudFormation makes one up.
func fixed(r resource) string {
	property := nameOf()[r.Type]
	if property == "" || r.at(property) == nil {
		return ""
	}
	return r.Type + " " + compact(r.at(property))
}

func (a account) create(r resource) error {
	name := fixed(r)
	if name == "" {
		return nil
	}
	if a[name] {
		return fmt.Errorf("%s already exists", name)
	}
	a[name] = true
	return nil
}

// remove deletes a resource as its policy says. The policies are CloudFormation's, "DeletionPolicy attribute";
// deletion protection binds CloudFormation too.
func (a account) remove(id string, r resource, policy string, rollback bool) error {
	if policy == "Retain" || policy == "RetainExceptOnCreate" && !rollback {
		return nil
	}
	if r.at("DeletionProtectionEnabled") == true {
		return fmt.Errorf("%s is protected against deletion", id)
	}
	delete(a, fixed(r))
	return nil
}

// deploy makes the resources of a template, in the order of their ids, and rolls back at the one with the number fails.
func (a account) deploy(t template, fails int) error {
	ids := slices.Sorted(maps.Keys(t.Resources))
	for i, id := range ids {
		var err error
		if i != fails {
			if err = a.create(t.Resources[id]); err == nil {
				continue
			}
			err = fmt.Errorf("CREATE_FAILED: %w", err)
		}
		for _, done := range slices.Backward(ids[:i]) {
			if undo := a.remove(done, t.Resources[done], t.Resources[done].DeletionPolicy, true); undo != nil {
				return fmt.Errorf("ROLLBACK_FAILED: %w", undo)
			}
		}
		return err
	}
	return nil
}

// destroy deletes the stack.
func (a account) destroy(t template) error {
	for id, r := range t.Resources {
		if err := a.remove(id, r, r.DeletionPolicy, false); err != nil {
			return fmt.Errorf("DELETE_FAILED: %w", err)
		}
	}
	return nil
}

// update makes what is new, and then removes what is no longer wanted.
func (a account) update(from, to template) error {
	for _, id := range slices.Sorted(maps.Keys(to.Resources)) {
		was, is := from.Resources[id], to.Resources[id]
		if was.Type == is.Type && fixed(was) == fixed(is) {
			if err := indexes(was, is); err != nil {
				return fmt.Errorf("UPDATE_FAILED: %s: %w", id, err)
			}
			continue
		}
		if err := a.create(is); err != nil {
			return fmt.Errorf("UPDATE_FAILED: %s: %w", id, err)
		}
	}
	for id, was := range from.Resources {
		is, stays := to.Resources[id]
		switch {
		case !stays:
			if err := a.remove(id, was, was.DeletionPolicy, false); err != nil {
				return err
			}
		case is.Type != was.Type || fixed(was) != fixed(is):
			if err := a.remove(id, was, was.UpdateReplacePolicy, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// indexes holds that an update makes or removes one global index of a table at most (CloudFormation Template
// Reference, AWS::DynamoDB::Table, GlobalSecondaryIndexes).
func indexes(was, is resource) error {
	names := func(r resource) map[string]bool {
		set := make(map[string]bool)
		for _, index := range list(r.at("GlobalSecondaryIndexes")) {
			set[compact(index)] = true
		}
		return set
	}
	old, changes := names(was), 0
	for index := range names(is) {
		if !old[index] {
			changes++
		}
		delete(old, index)
	}
	if changes += len(old); changes > 1 {
		return fmt.Errorf("%d indexes change at once", changes)
	}
	return nil
}
