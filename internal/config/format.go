package config

import (
	"fmt"
	"reflect"
	"strings"
)

// name is the variable's name in a tag such as `env:"NAME,required"`.
func name(tag string) string {
	name, _, _ := strings.Cut(tag, ",")
	return name
}

func format(v reflect.Value) string {
	if list, ok := v.Interface().([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(v.Interface())
}
