// Package profile opens the AWS account of a person at a command line: by the environment, a profile of theirs, or single sign-on.
package profile

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// Open reads the person's configuration, as the AWS command line does.
func Open(ctx context.Context) (aws.Config, error) {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return c, fmt.Errorf("read the AWS configuration: %w", err)
	}
	return c, nil
}
