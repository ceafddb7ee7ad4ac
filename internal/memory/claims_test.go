package memory_test

import (
	"testing"

	"github.com/auditrelay/auditrelay/internal/memory"
	"github.com/auditrelay/auditrelay/internal/notice"
	"github.com/auditrelay/auditrelay/internal/notice/porttest"
)

func TestClaims(t *testing.T) {
	porttest.Claims(t, func(*testing.T) notice.Claims { return new(memory.Claims) })
}
