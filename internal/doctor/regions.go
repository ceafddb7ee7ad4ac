package doctor

import "strings"

// regionsWithoutFunctionURLs are the regions in which Lambda has no function URLs (AWS, Lambda Developer
// Guide, "Creating and managing Lambda function URLs").
func regionsWithoutFunctionURLs() []string {
	return []string{
		"ap-east-2", "ap-south-2", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
		"ca-west-1", "eu-central-2", "eu-south-2", "il-central-1", "me-central-1",
	}
}

// nearest is a region of the same part of the world that has them.
func nearest(region string) string {
	part, _, _ := strings.Cut(region, "-")
	switch part {
	case "eu", "il", "me":
		return "eu-central-1"
	case "ap":
		return "ap-southeast-1"
	case "ca":
		return "ca-central-1"
	}
	return "us-east-1"
}
