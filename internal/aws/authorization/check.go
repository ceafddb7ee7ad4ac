package authorization

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Statement is one of a policy, with every reference replaced by a name.
type Statement struct {
	Actions   []string
	Resources []string
	// Keys are the condition keys.
	Keys []string
}

// Check says what of a statement grants nothing or is not known: actions that no row has, resources that an
// action cannot be granted on, and conditions on keys that an action does not have.
func Check(s Statement) (faults []string) {
	actions := Actions()
	for _, name := range s.Actions {
		a, known := actions[name]
		if !known {
			faults = append(faults, name+" is not in the table of actions")
			continue
		}
		for _, resource := range s.Resources {
			if !a.takes(name, resource) {
				faults = append(faults, fmt.Sprintf("%s on %s grants nothing: it can be granted on %s", name, resource, a.on()))
			}
		}
		for _, key := range s.Keys {
			if !a.has(key) && !strings.HasPrefix(key, "aws:") {
				faults = append(faults, fmt.Sprintf("%s has no condition key %s", name, key))
			}
		}
	}
	return faults
}

// has says whether it has a condition key. Some keys end in a name that the caller chooses.
func (a Action) has(key string) bool {
	return slices.ContainsFunc(a.Keys, func(documented string) bool {
		chosen, open := strings.CutSuffix(documented, "${EncryptionContextKey}")
		return key == documented || open && strings.HasPrefix(key, chosen) && key != chosen
	})
}

func (a Action) on() string {
	if len(a.On) == 0 {
		return "* alone"
	}
	return strings.Join(a.On, " or ")
}

// takes says whether a resource, which may have wildcards, can name one of the action's types.
func (a Action) takes(name, resource string) bool {
	if len(a.On) == 0 {
		return resource == "*"
	}
	service, _, _ := strings.Cut(name, ":")
	arns := ARNs()
	return slices.ContainsFunc(a.On, func(kind string) bool {
		form := regexp.MustCompile(expression(arns[service+" "+kind]))
		// A star may stand for what a type has after the name.
		return slices.ContainsFunc([]string{"x", "log-stream:x"}, func(star string) bool {
			return form.MatchString(strings.ReplaceAll(resource, "*", star))
		})
	})
}

// expression makes a pattern of a form. Names have neither slashes nor colons, but for those of log groups,
// and the paths of roles and objects.
func expression(form string) string {
	if form == "" {
		return `^\b$` // matches nothing
	}
	variable := regexp.MustCompile(`\\\$\\\{(\w+)\\\}`)
	return "^" + variable.ReplaceAllStringFunc(regexp.QuoteMeta(form), func(v string) string {
		switch variable.FindStringSubmatch(v)[1] {
		case "LogGroupName", "LogStreamName":
			// Logs takes the name of a group with :* behind it too ("Overview of managing access permissions
			// to your CloudWatch Logs resources",
			// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html).
			return `[^:]+(:x)?`
		case "RoleNameWithPath", "ObjectName":
			return `[^:]+`
		}
		return `[^:/]+`
	}) + "$"
}
