package sink

import (
	"net/url"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
)

// azureCloud is one of Azure's clouds, which share nothing: not the hosts, nor the tenants, nor what a token is for.
type azureCloud struct {
	// name is what settings.cloud calls it.
	name string
	// title is what people call it.
	title string
	// sdk holds the audience of tokens for Azure Monitor, and the authority that gives tokens.
	sdk cloud.Configuration
	// blob and collector are what follows an account's or a workspace's name in its host.
	blob, collector string
	// hosts are the domains whose hosts are of this cloud alone.
	hosts []string
}

// azureClouds are the clouds that this program knows; the first is the one that is meant if nothing says another.
//
// Sources: azcore/cloud/cloud.go (authorities) and azlogs/cloud_config.go (audiences) of the Azure SDK for Go;
// "National cloud authentication endpoints" and "Azure Government endpoint mapping" of Microsoft's documentation; the
// Azure China developer guide ("Check endpoints in Azure"); "Log Analytics agent network requirements" (collectors).
// The audience for Azure Storage is the same in every cloud ("Authorize with Microsoft Entra ID", Azure Storage).
func azureClouds() []azureCloud {
	return []azureCloud{
		{
			name: "public", title: "public Azure", sdk: cloud.AzurePublic, blob: "blob.core.windows.net", collector: "ods.opinsights.azure.com",
			hosts: []string{"login.microsoftonline.com", "login.windows.net", "azure.com", "core.windows.net"},
		},
		{
			name: "us_government", title: "Azure Government", sdk: cloud.AzureGovernment, blob: "blob.core.usgovcloudapi.net", collector: "ods.opinsights.azure.us",
			hosts: []string{"login.microsoftonline.us", "azure.us", "usgovcloudapi.net"},
		},
		{
			name: "china", title: "Azure China", sdk: cloud.AzureChina, blob: "blob.core.chinacloudapi.cn", collector: "ods.opinsights.azure.cn",
			hosts: []string{"login.partner.microsoftonline.cn", "azure.cn", "chinacloudapi.cn"},
		},
	}
}

// cloudOf gives the cloud of a connection: the one that settings name, or whose host the endpoint or the authority is.
// told is false if nothing says which: then it is the public one.
func (s entraSettings) cloudOf(endpoint string, env environment) (c azureCloud, told bool, err error) {
	clouds := azureClouds()
	found := clouds[0]
	for _, said := range []struct{ field, of string }{
		{"settings.cloud", s.Cloud}, {"settings.endpoint", hostCloud(endpoint)}, {"settings.authority_host", hostCloud(s.AuthorityHost)},
	} {
		if said.of == "" {
			continue
		}
		var is azureCloud
		for _, c := range clouds {
			if c.name == said.of {
				is = c
			}
		}
		switch {
		case is.name == "":
			return azureCloud{}, false, invalid(said.field, "must be public, us_government or china")
		case !told:
			found, told = is, true
		case is.name != found.name && env.saving:
			return azureCloud{}, false, invalid(said.field, "is of %s, and the other settings are of %s; no token of one is good in the other", is.title, found.title)
		}
	}
	return found, told, nil
}

// hostCloud gives the name of the cloud whose host a URL names, or "" if it is a host of nobody's.
func hostCloud(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	for _, c := range azureClouds() {
		for _, domain := range c.hosts {
			if host == domain || strings.HasSuffix(host, "."+domain) {
				return c.name
			}
		}
	}
	return ""
}
