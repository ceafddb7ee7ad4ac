# All that a person or CI runs. Needs Go, Node with npm, and make; "make lint" and the tools behind it build themselves on first use.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GOLANGCI_LINT := .cache/bin/golangci-lint-v2.15.0
VERSITYGW := .cache/bin/versitygw-v1.8.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.3.0
CYCLONEDX := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
# How long "make fuzz" spends on each target, and which packages it covers.
FUZZTIME ?= 60s
FUZZPKG ?= ./...
# A fresh machine may have an older Node than the CDK's library likes; it works all the same.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: node_modules ## A week in seconds: one destination fails and recovers, another stays dead past seven days
	go run ./cmd/auditrelay demo

.PHONY: test
test: node_modules ## Unit, conformance, crash and template tests, and every fuzz seed
	go test ./...

.PHONY: race
race: node_modules ## The same under the race detector, without the stack's, and of the simulator what has goroutines of its own
	go test -race $$(go list ./events/... ./internal/... | grep -v /internal/simulate)
	go test -race -run RealDeliver ./internal/simulate

.PHONY: cover
cover: node_modules ## Coverage of all packages, as build/cover.html
	@mkdir -p build
	go test -coverpkg=./events/...,./internal/... -coverprofile=build/cover.out ./events/... ./internal/...
	go tool cover -html=build/cover.out -o build/cover.html
	go tool cover -func=build/cover.out | tail -n 1

# Go up to 1.26 may report its own deadline as a failure (golang/go#75804): only a run that wrote a failing input has found something.
.PHONY: fuzz
fuzz: ## Fuzz every target for FUZZTIME, one after the other, in FUZZPKG
	@mkdir -p build
	@for pkg in $$(go list $(FUZZPKG)); do \
		for target in $$(go test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -parallel 2 "$$pkg" 2>&1 | tee build/fuzz.log || \
				{ grep -q '^    context deadline exceeded$$' build/fuzz.log && ! grep -q 'Failing input written' build/fuzz.log; } || exit 1; \
		done; \
	done

.PHONY: bench
bench: ## CPU seconds per 1,000 logs against baselines of the same run, into docs/performance.md
	go run ./cmd/bench -write docs/performance.md
	go test ./internal/picture -run TestBenchPictureIsCurrent -update

.PHONY: calls
calls: ## Calls and units per 1,000 logs, healthy and failing, and what they cost
	go run ./cmd/auditrelay simulate calls

.PHONY: simulate
simulate: ## Policies of retrying side by side: a thousand destinations, ten of them dead for a day, with a plot in build/
	@mkdir -p build
	go run ./cmd/auditrelay simulate --plot build/backlog.svg

.PHONY: drain
drain: ## A million parked logs of one destination drained: pages, order, calls and memory (1.6 GB, half a minute)
	go run ./cmd/auditrelay simulate drain

# How many runs a soak has, and the first of their seeds. A million take hours.
SEEDS ?= 1000000
FROM ?= 1000000

.PHONY: soak
soak: ## Runs of the core over services on a bad day, SEEDS of them from seed FROM on, against every promise of the product
	go test ./internal/unkind -run TestSoak -count 1 -timeout 0 -v -seeds $(SEEDS) -from $(FROM)

.PHONY: mutate
mutate: ## Break the code in a hundred small ways, and name those that no test notices; an hour, or ONLY=internal/notice for a part
	go run ./tools/mutate -only "$(ONLY)"

.PHONY: lint
lint: $(GOLANGCI_LINT) ## golangci-lint with go vet, gofmt and the dependency rule; actionlint; mains of at most 40 lines
	$(GOLANGCI_LINT) run
	go run $(ACTIONLINT)
	@awk 'FNR > 40 { print FILENAME ": a main is wiring only, at most 40 lines"; bad = 1; nextfile } END { exit bad }' functions/*/main.go

.PHONY: vulncheck
vulncheck: ## Known vulnerabilities in what the code calls; asks vuln.go.dev
	go run $(GOVULNCHECK) ./...

$(GOLANGCI_LINT):
	@echo "building golangci-lint, once: some minutes"
	@mkdir -p $(@D)
	GOBIN=$(abspath $(@D)) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	@mv $(@D)/golangci-lint $@

.PHONY: docs
docs: node_modules ## Make the pages and pictures that are made from code; the console's, if they are stale, need Chromium
	go test ./internal/failure -run 'TestErrorsPageIsCurrent|TestErrorsOfDestinationPages' -update
	go test ./internal/admin -run TestDocumentIsCurrent -update
	go test ./cmd/auditrelay -run TestManualIsCurrent -update
	go test ./internal/foreign -run TestSourcesTableIsCurrent -update
	go test ./internal/picture -run PictureIsCurrent -update
	go test ./internal/region -run TestRegionsAreDocumented -update
	go test ./internal/delivery -run TestLifePictureIsCurrent -update
	go test ./internal/simulate -run TestPlotsAreCurrent -update
	go test ./infra -run 'TestStack$$' -update
	go test ./internal/local/console -run TestPicturesAreCurrent || $(MAKE) pictures

.PHONY: synth
synth: node_modules ## Synthesize the CloudFormation template into cdk.out (builds the functions)
	npx cdk synth --quiet

.PHONY: lint-template
lint-template: synth ## cfn-lint on the synthesized template; it comes with moto (pip install --no-deps -r .ci/requirements.txt)
	cfn-lint cdk.out/*.template.json

node_modules: package-lock.json
	npm ci --no-audit --no-fund
	@touch node_modules

.PHONY: clean
clean: ## Remove what was built; keeps node_modules and the linter
	rm -rf build dist cdk.out

FUNCTIONS := deliver requeue expire disconnect notify admin

.PHONY: build
build: ## Compile the Lambda functions into build/<name>/bootstrap
	@for f in $(FUNCTIONS); do \
		mkdir -p build/$$f && rm -f build/$$f/bootstrap && \
		CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build -trimpath -buildvcs=false -tags lambda.norpc -ldflags='-s -w' -o build/$$f/bootstrap ./functions/$$f || exit 1; \
	done

SYSTEMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64

.PHONY: dist
dist: build ## What a release carries, in dist/: the command line for each system, the functions' archives, the list of modules (CycloneDX), checksums
	@rm -rf dist && mkdir dist
	@for s in $(SYSTEMS); do \
		os=$${s%/*} arch=$${s#*/} end=; [ $$os != windows ] || end=.exe; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags='-s -w' -o dist/auditrelay-$$os-$$arch$$end ./cmd/auditrelay || exit 1; \
	done
	go run $(CYCLONEDX) mod -json -std -noserial -notimestamp -output dist/sbom.cdx.json
	go run ./tools/dist build dist

.PHONY: test-integration
test-integration: node_modules $(VERSITYGW) ## The adapters and docs/producers.md against real protocol servers, which it starts; needs JDK 17 and moto (pip install --no-deps -r .ci/requirements.txt)
	go test -tags integration ./internal/aws/... ./internal/sink/... ./docs

$(VERSITYGW):
	@echo "building versitygw, once: some minutes"
	@mkdir -p $(@D)
	GOBIN=$(abspath $(@D)) go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
	@mv $(@D)/versitygw $@

# Debian's package is chromium; nothing else of a browser is needed.
CHROMIUM ?= /usr/bin/chromium
BROWSER := AUDITRELAY=build/auditrelay CHROMIUM=$(CHROMIUM)

.PHONY: test-browser
test-browser: node_modules build/auditrelay ## The local console by clicks in headless Chromium, with axe-core on every page; pictures in build/pictures
	$(BROWSER) PICTURES=build/pictures node --test internal/local/browser/story.test.mjs

.PHONY: lint-api
lint-api: node_modules ## A strict linter on docs/openapi.json
	REDOCLY_TELEMETRY=off npx redocly lint --extends recommended-strict docs/openapi.json

.PHONY: test-client
test-client: node_modules build/auditrelay ## A client generated from docs/openapi.json does a destination's whole story
	npx openapi-typescript docs/openapi.json --output build/client/api.d.ts
	npx tsc --project internal/local/client
	AUDITRELAY=build/auditrelay node --test build/client/story.test.js

.PHONY: pictures
pictures: node_modules build/auditrelay ## Take the console's pictures anew, in docs/images; needs Chromium
	$(BROWSER) node internal/local/browser/pictures.mjs docs/images

.PHONY: build/auditrelay
build/auditrelay:
	go build -o $@ ./cmd/auditrelay

# The stack of the tests: receivers on this machine, which speak plain HTTP, are closed to a deployment by default.
E2E_CONTEXT := --context stage=e2e --context allowHttp=true --context allowPrivateCidrs=127.0.0.0/8 --context mailFrom=notices@auditrelay.example
E2E := ASSEMBLY=$(abspath build/e2e) go test -tags e2e -count 1 -parallel 16

.PHONY: e2e-synth
e2e-synth: node_modules
	@rm -rf build/e2e
	npx cdk synth --quiet --output build/e2e $(E2E_CONTEXT)

.PHONY: e2e
e2e: e2e-synth ## The compiled functions, wired as the template says, against emulators; needs Java 17 and moto (pip install --no-deps -r .ci/requirements.txt)
	$(E2E) -skip TestSize ./internal/e2e

.PHONY: size
size: e2e-synth ## Size, start and memory of each function, as a table; fails over a limit; needs what e2e needs
	$(E2E) -v -run TestSize ./internal/e2e

.PHONY: rehearse
rehearse: e2e-synth ## The stack's lives against moto instead of AWS: a failed deploy, deploy and destroy and deploy, an upgrade
	.ci/rehearse build/e2e

.PHONY: released
released: e2e-synth ## After a release: keep its template as the one that TestLives and rehearse upgrade from
	cp build/e2e/auditrelay-e2e.template.json infra/testdata/released.template.json
