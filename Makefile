FUNCTIONS := deliver requeue expire

.PHONY: build
build: ## Compile the Lambda functions into build/<name>/bootstrap
	@for f in $(FUNCTIONS); do \
		mkdir -p build/$$f && rm -f build/$$f/bootstrap && \
		CGO_ENABLED=0 GOOS=linux GOARCH=arm64 go build -trimpath -buildvcs=false -tags lambda.norpc -ldflags='-s -w' -o build/$$f/bootstrap ./functions/$$f || exit 1; \
	done
