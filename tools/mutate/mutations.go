package main

// mutations are the changes that are tried, by package. Each breaks something that is promised, or that a decision rests on.
func mutations() []mutation {
	var all []mutation
	for _, list := range [][]mutation{deciding(), sending(), repeating(), watching(), connecting(), noticing(), storing(), sinking()} {
		all = append(all, list...)
	}
	return all
}

// in has mutations of one file.
func in(file string, list ...mutation) []mutation {
	for i := range list {
		list[i].file = file
	}
	return list
}

func concat(lists ...[]mutation) (all []mutation) {
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

func deciding() []mutation {
	return concat(
		in("internal/delivery/decide.go",
			mutation{what: "what has ended is always given up", old: "case ended && (!takes || !d.late()):", new: "case ended:"},
			mutation{what: "a first attempt that was due is not missed", old: "case ended && (!takes || !d.late()):", new: "case ended && !takes:"},
			mutation{what: "a parked log is late too", old: "return d.Attempts == 0 && !d.NextAt.Equal(d.ExpiresAt())", new: "return d.Attempts == 0"},
			mutation{what: "a drain's hint tries what has ended", old: "case hint.Drain && !ended:", new: "case hint.Drain:"},
			mutation{what: "a drain's hint reaches who takes nothing", old: "case hint.Drain && !takes, hint.turn()", new: "case hint.turn()"},
			mutation{what: "an outdated hint is followed", old: "case !hint.At.Equal(d.NextAt):\n\t\treturn drop", new: "case false:\n\t\treturn drop"},
			mutation{what: "a hint that comes early is followed", old: "case now.Before(d.NextAt):\n\t\treturn wait", new: "case false:\n\t\treturn wait"},
			mutation{what: "logs of a deleted destination are tried", old: "case !known:\n\t\treturn hold", new: "case !known:\n\t\treturn try"},
			mutation{what: "a disconnected destination is tried", old: "if !accepts {\n\t\treturn hold", new: "if false {\n\t\treturn hold"},
			mutation{what: "Retry-After may pass the end", old: "now.Add(asked).Before(end) && asked > delay", new: "asked > delay"},
			mutation{what: "Retry-After is not honoured", old: "return min(f.RetryAfter, longestPause)", new: "return min(0, f.RetryAfter, longestPause)"},
			mutation{what: "there is no last attempt", old: "case now.Before(last):\n\t\treturn last", new: "case now.Before(last):\n\t\treturn end"},
			mutation{what: "a late log has no further attempt", old: "case ok && next.Before(end):", new: "case false:"},
		),
		in("internal/delivery/schedule.go",
			mutation{what: "the table begins with two minutes", old: "1 * time.Minute,\n", new: "2 * time.Minute,\n"},
			mutation{what: "a log lives for eight days", old: "const Lifetime = 7 * 24 * time.Hour", new: "const Lifetime = 8 * 24 * time.Hour"},
			mutation{what: "the jitter is the same for all logs", old: "for _, s := range []string{k.DestinationID, k.WorkspaceID, k.LogID, strconv.Itoa(attempts)} {", new: "for _, s := range []string{k.DestinationID, strconv.Itoa(attempts)} {"},
		),
		in("internal/delivery/health.go",
			mutation{what: "one failure of three is a failing destination", old: "chanceAtMost = 2", new: "chanceAtMost = 0"},
			mutation{what: "a time-out is chance", old: "sure = sure || trials[i].Attempts > 1 || f.Code == failure.NetTimeout", new: "sure = sure || trials[i].Attempts > 1"},
			mutation{what: "a log that was refused for itself blames the connection", old: "if class == failure.Log {\n\t\t\trefused++\n\t\t\tcontinue", new: "if class == failure.Log {\n\t\t\trefused++"},
			mutation{what: "a recovery starts no drain", old: "return d.Drain(now), true", new: "return d, true"},
			mutation{what: "a new failure keeps no time", old: "State: directory.Failing, Since: now,", new: "State: directory.Failing,"},
			mutation{what: "a passing failure is told at once", old: "&& now.Sub(d.Health.Since) < transientPatience", new: "&& now.Sub(d.Health.Since) < 0"},
			mutation{what: "a recovery is not told", old: "if recovered {\n\t\tn := directory.Notice", new: "if false {\n\t\tn := directory.Notice"},
			mutation{what: "a failing destination has no budget", old: "if dest.Takes() && dest.Rate() == 0 ||", new: "if dest.Rate() == 0 ||"},
			mutation{what: "a pause is not kept", old: "paused := !dest.Takes() && now.Before(dest.Health.Until)", new: "paused := false && now.Before(dest.Health.Until)"},
			mutation{what: "the youngest get the attempts", old: "return a.AcceptedAt.Compare(b.AcceptedAt) })\n\tn := d.reserve", new: "return b.AcceptedAt.Compare(a.AcceptedAt) })\n\tn := d.reserve"},
			mutation{what: "without a budget nobody passes", old: "return n\n\t}\n\treturn 1\n}", new: "return n\n\t}\n\treturn 0\n}"},
		),
	)
}

func sending() []mutation {
	return concat(
		in("internal/delivery/attempt.go",
			mutation{what: "what could not be written is settled", old: "d.fault(trials[i].messages, about(trials[i].Key, fmt.Errorf(\"save delivery", new: "d.fault(nil, about(trials[i].Key, fmt.Errorf(\"save delivery"},
			mutation{what: "a failed event that could not be written is settled", old: "d.fault(t.messages, about(t.Key, fmt.Errorf(\"record the failed event", new: "d.fault(nil, about(t.Key, fmt.Errorf(\"record the failed event"},
			mutation{what: "a hint that overtook its write is not sent again", old: "d.hint(ctx, overtaking(rides, d.Now().Sub(now)))", new: "_ = overtaking(rides, d.Now().Sub(now))"},
			mutation{what: "what was parked has no owner", old: "if parked := d.park(ctx, trials); len(parked) > 0 {", new: "if parked := d.park(ctx, trials); len(parked) > 1_000_000 {"},
			mutation{what: "a panic is settled", old: "for _, t := range trials {\n\t\t\t\tt.reopen()", new: "for range trials {\n\t\t\t\tcontinue"},
			mutation{what: "fresh logs of a failing destination are tried at once", old: "case tries[0].Revision == 0 && tries[0].dest.Health.State == directory.Failing:", new: "case false:"},
			mutation{what: "a delivered log stays in the cache", old: "if t.Revision > 0 {\n\t\t\t\tdone = append(done, *t)", new: "if t.Revision > 1_000_000 {\n\t\t\t\tdone = append(done, *t)"},
			mutation{what: "an attempt of a drain puts a log off", old: "t.kept = t.turn || t.drain && !t.Parked && t.NextAt.After(now) && t.NextAt.Before(next); t.kept {", new: "t.kept = t.turn; t.kept {"},
			mutation{what: "an attempt that was not made counts", old: "case errors.Is(err, ErrNotTried):\n", new: "case errors.Is(err, ErrNotTried):\n\t\t\tt.Attempts++\n"},
			mutation{what: "a hint comes before its time", old: "(max(0, delay) + time.Second - 1).Truncate(time.Second)", new: "max(0, delay).Truncate(time.Second)"},
		),
		in("internal/delivery/drain.go",
			mutation{what: "a page is sent though the progress was not saved", old: "return overtaken(err, \"save the drain of %s\", dest.ID)\n\t\t}\n\t\ts.Revision++", new: "_ = err\n\t\t}\n\t\ts.Revision++"},
			mutation{what: "a drain ends without its last look", old: "dest.Draining, dest.LastLook = false, true", new: "dest.Draining, dest.LastLook = false, false"},
			mutation{what: "what failed since the recovery is sent by the drain", old: "return w.Parked || w.AcceptedAt.Before(opened) && w.Tried.Before(opened.Add(clockSkew))", new: "return w.Parked || w.AcceptedAt.Before(opened)"},
			mutation{what: "only what is parked is drained", old: "return w.Parked || w.AcceptedAt.Before(opened) && w.Tried.Before(opened.Add(clockSkew))", new: "return w.Parked"},
			mutation{what: "two pages go in a minute", old: "if now.Sub(state.At) < drainEvery-time.Second {", new: "if now.Sub(state.At) < 0 {"},
			mutation{what: "the rate does not bound a page", old: "size = min(size, rate*int(drainSpread/time.Second))", new: "size = max(size, rate)"},
			mutation{what: "a page of a destination that takes nothing is sent", old: "if !dest.Takes() || !dest.Draining && !dest.LastLook {", new: "if !dest.Draining && !dest.LastLook {"},
			mutation{what: "the state of an earlier drain counts", old: "!state.OpenedAt.Equal(dest.OpenedAt) || state.Last != last", new: "state.Last != last"},
			mutation{what: "the last look reads what may be old", old: "backlog := d.Latest\n\tif backlog == nil {", new: "backlog := d.Latest\n\tif true {"},
			mutation{what: "a last look that finds something ends the drain", old: "return d.again(ctx, dest)", new: "return d.finish(ctx, dest, s.At)"},
		),
		in("internal/delivery/look.go",
			mutation{what: "the parent is not asked for its shared destinations", old: "len(picked) > 0 || workspace.workspace.ParentID == \"\" {", new: "len(picked) >= 0 || workspace.workspace.ParentID == \"\" {"},
		),
		in("internal/delivery/route.go",
			mutation{what: "a message that came before is sent again", old: "if t.redelivered {\n\t\t\tkeys", new: "if false {\n\t\t\tkeys"},
		),
		in("internal/delivery/expire.go",
			mutation{what: "what TTL removed has no failed event", old: "if d := c.Expired; d != nil {", new: "if d := c.Expired; d != nil && false {"},
			mutation{what: "a failed event is written down though the bus did not take it", old: "errs[places[j]] = about(e.Key, fmt.Errorf(\"announce the failed event", new: "_ = about(e.Key, fmt.Errorf(\"announce the failed event"},
		),
	)
}

func repeating() []mutation {
	return concat(
		in("internal/delivery/repeat.go",
			mutation{what: "a message that was handed out before is merged with any", old: "if !known && !t.redelivered {\n\t\t\tplace", new: "if !known {\n\t\t\tplace"},
			mutation{what: "a repeat has the days of the first", old: "if t.AcceptedAt.After(first.AcceptedAt) {", new: "if false {"},
			mutation{what: "a repeat overwrites the delivery that waits", old: "first.redelivered = first.redelivered || t.redelivered", new: ""},
			mutation{what: "a message that is handed out twice is a repeat", old: "if t.messages[0].id == first {", new: "if false {"},
		),
		in("internal/delivery/receipts.go",
			mutation{what: "a receipt outlives its delivery", old: "end.Before(r.Until) {", new: "false {"},
			mutation{what: "a receipt counts for ever", old: "now.Before(r.Until) && slices.Contains", new: "slices.Contains"},
			mutation{what: "a receipt covers every destination", old: " && slices.Contains(r.To, dest.Identity())", new: ""},
			mutation{what: "what is still open gets a receipt", old: "func(s *settlement) bool { return s.open.Load() }", new: "func(s *settlement) bool { return false }"},
		),
		in("internal/delivery/deliver.go",
			mutation{
				what: "a receipt is kept before the log is dealt with",
				old:  "d.run(ctx, d.unknown(ctx, trials))\n\td.remember(ctx, trials, known)", new: "d.remember(ctx, trials, known)\n\td.run(ctx, d.unknown(ctx, trials))",
			},
		),
		in("internal/sink/keys.go",
			mutation{what: "a key template without the hash stays so", old: "if strings.Contains(template, hashPlace) {\n\t\treturn template", new: "if template != \"\" {\n\t\treturn template"},
		),
		in("internal/sink/http.go",
			mutation{what: "a webhook-id may hold dots", old: "strings.ReplaceAll(logs[0].identity, \".\", \"~\")", new: "strings.ReplaceAll(logs[0].identity, \".\", \".\")"},
		),
	)
}

func watching() []mutation {
	return concat(
		in("internal/delivery/watch.go",
			mutation{what: "nobody calls for the pages of a drain", old: "return d.Takes() && (d.Draining || d.LastLook) },", new: "return false },"},
			mutation{what: "a timer that was lost is not made up for", old: "return d.InGrace() && !now.Before(d.GraceEnds().Add(backstop))", new: "return false && !now.Before(d.GraceEnds().Add(backstop))"},
			mutation{what: "a timer is made up for an hour early", old: "d.GraceEnds().Add(backstop)", new: "d.GraceEnds().Add(backstop - time.Hour)"},
			mutation{what: "a run looks at what the last one reached first", old: "return append(first, rest...)", new: "return append(rest, first...)"},
			mutation{what: "an hour that a late run missed is missed", old: "now.Sub(since)/span > last.Sub(since)/span", new: "now.Sub(since)/span > last.Sub(since)/span && now.Sub(since)%span < time.Minute"},
		),
		in("internal/delivery/requeue.go",
			mutation{what: "what comes due is looked for too late", old: "lookAhead = rideLimit - time.Minute", new: "lookAhead = time.Minute"},
			mutation{what: "lost hints are not looked for", old: "if now.Sub(p.Swept) < overdue {", new: "if now.Sub(p.Swept) < 1000*overdue {"},
			mutation{what: "a pass that failed is over", old: "return latest(after, justBefore(hints[first])), refused", new: "_ = first\n\t\t\t\treturn until, refused"},
		),
		in("internal/delivery/lookup.go",
			mutation{what: "a failure to ask is remembered", old: "func final(err error) bool { return err == nil || errors.Is(err, directory.ErrNotFound) }", new: "func final(error) bool { return true }"},
		),
	)
}

func connecting() []mutation {
	return concat(
		in("internal/connection/connection.go",
			mutation{what: "the timer is set after the state is written", old: "return s.Timers.Set(ctx, TimerOf(next))", new: "return nil"},
			mutation{what: "a timer of another generation disables", old: "if !t.of(d) {\n\t\t\treturn errStale", new: "if false {\n\t\t\treturn errStale"},
			mutation{what: "a write whose answer was lost did not happen", old: "if found, ok := s.landed(ctx, next); ok {", new: "if found, ok := s.landed(ctx, next); ok && false {"},
			mutation{what: "what an admin did is not told", old: "s.Outbox.Tell(ctx, tell)\n\t\treturn before, after, nil", new: "return before, after, nil"},
			mutation{what: "a change over others' writes is given up", old: "const writesAtMost = 10", new: "const writesAtMost = 1"},
		),
		in("internal/connection/outbox.go",
			mutation{what: "an entry is removed before it is told", old: "if out.Event != nil {\n\t\tif err := o.Bus", new: "if out.Event != nil && out.Log == nil {\n\t\tif err := o.Bus"},
			mutation{what: "a sweep tells what its teller is still at", old: "case now.Sub(out.At) < patience:", new: "case false:"},
		),
		in("internal/directory/transition.go",
			mutation{what: "a destination is disabled before its eight hours are over", old: "(action == Disable || action == Remove) && now.Before(d.GraceEnds())", new: "action == Remove && now.Before(d.GraceEnds())"},
			mutation{what: "a reconnect starts no drain", old: "d = d.Drain(d.StateSince)", new: "d.OpenedAt = d.StateSince"},
			mutation{what: "a transition keeps the generation", old: "d.Generation++", new: "d.Generation += 0"},
		),
	)
}

func noticing() []mutation {
	return concat(
		in("internal/notice/claim.go",
			mutation{what: "two mails a day", old: "dailyLimit = 24 * time.Hour", new: "dailyLimit = 12 * time.Hour"},
			mutation{what: "a mail that another is sending is sent too", old: "\treturn mayNot\n}", new: "\treturn may\n}"},
			mutation{what: "a mail whose sender died is sent again", old: "case c.State == Sending && c.Holder == holder:\n\t\treturn cannotTell", new: "case c.State == Sending && c.Holder == holder:\n\t\treturn may"},
			mutation{what: "a refused mail is not sent again", old: "case c.State == \"\" || c.State == Free:", new: "case c.State == \"\":"},
		),
		in("internal/notice/due.go",
			mutation{what: "who has reconnected gets the mail of the disconnect", old: "case d.State == directory.Disabled && d.Generation == n.Generation+1:", new: "case d.Generation >= n.Generation+1:"},
			mutation{what: "a notice that comes before its state is dropped", old: "case d.State == directory.Disconnected && d.Generation == n.Generation:\n\t\t\treturn laterUntil", new: "case false:\n\t\t\treturn laterUntil"},
			mutation{what: "a failure that is over is told", old: "if d.State == directory.Connected && d.Health.State == directory.Failing && sameOutage(n, d) {", new: "if true {"},
			mutation{what: "a notice of an earlier outage is told of this one", old: "return n.Since.IsZero() || n.Since.UnixMilli() == d.Health.Since.UnixMilli()", new: "return true"},
		),
		in("internal/notice/round.go",
			mutation{what: "a mail whose claim was not stored is sent", old: "case err != nil || !held:\n\t\treturn err", new: "case err != nil:\n\t\treturn err"},
			mutation{what: "a refused mail keeps its claim", old: "c.State, c.At = Free, r.now()", new: "c.At = r.now()"},
			mutation{what: "an admin hears of a failure that is over", old: "return Due(n, d, r.Now()) != Drop", new: "return true"},
		),
		in("internal/notice/recipients.go",
			mutation{what: "an address that is spelled twice gets two mails", old: "folded := strings.ToLower(parsed.Address)", new: "folded := parsed.Address"},
			mutation{what: "the error list is not told", old: "slices.Concat(owner.Admins, owner.ErrorRecipients)", new: "owner.Admins"},
		),
	)
}

func storing() []mutation {
	return concat(
		in("internal/aws/dynamo/cache.go",
			mutation{what: "a delivery is moved on over another's write", old: "ConditionExpression:       aws.String(\"r = :revision\"),", new: "ConditionExpression:       aws.String(\"attribute_exists(pk)\"),"},
			mutation{what: "an update keeps the revision", old: "number(d.Revision + 1)", new: "number(d.Revision)"},
			mutation{what: "the mark of parked stays", old: "{attrRiding, d.Riding}, {attrParked, d.Parked}", new: "{attrRiding, d.Riding}, {attrParked, true}"},
		),
		in("internal/aws/dynamo/batch.go",
			mutation{what: "deliveries are read from a replica", old: "left := types.KeysAndAttributes{ConsistentRead: aws.Bool(consistent)}", new: "left := types.KeysAndAttributes{}",
				tests: []string{"./internal/aws/dynamo", "./internal/unkind"}},
			mutation{what: "what the service left out counts as written", old: "if left = out.UnprocessedItems[c.table]; len(left) == 0 {", new: "if left = out.UnprocessedItems[c.table]; true {"},
		),
		in("internal/aws/dynamo/failed.go",
			mutation{what: "a failed event is recorded and its delivery stays", old: "TransactItems: []types.TransactWriteItem{remove, record}", new: "TransactItems: []types.TransactWriteItem{record}"},
			mutation{what: "a failed event is written over", old: "Item: failedItem(e), ConditionExpression: aws.String(notThere)})", new: "Item: failedItem(e)})"},
		),
		in("internal/aws/dynamo/directory.go",
			mutation{what: "a write leaves no entry", old: "return d.together(ctx, operation, tell, append(writes, entry)...)", new: "_ = entry\n\treturn d.together(ctx, operation, tell, writes...)"},
			mutation{what: "a record that is to be changed may be old", old: "return d.destination(ctx, id, true)", new: "return d.destination(ctx, id, false)",
				tests: []string{"./internal/aws/dynamo", "./internal/unkind"}},
			mutation{what: "a record is written over another's change", old: "return aws.String(\"revision = :revision AND incarnation = :incarnation\"),", new: "return aws.String(\"revision >= :revision AND incarnation = :incarnation\"),"},
		),
		in("internal/aws/dynamo/index.go",
			mutation{what: "hints of what rides on the queue are sent", old: "if !riding {", new: "if false {"},
		),
		in("internal/aws/dynamo/outbox.go",
			mutation{what: "a change is stored without what is to be told of it", old: "writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &d.Table, Item: i}})", new: "_ = i"},
		),
		in("internal/aws/dynamo/claims.go",
			mutation{what: "a claim is stored over another's", old: "in.ConditionExpression = aws.String(\"revision = :revision\")", new: "in.ConditionExpression = aws.String(\"revision >= :revision\")"},
		),
		in("internal/aws/dynamo/budget.go",
			mutation{what: "the budget gives one too many", old: "before.Waiting -= n", new: "before.Waiting -= n + 1"},
		),
		in("internal/aws/dynamo/stream.go",
			mutation{what: "a delivery that was delivered counts as expired", old: "strings.HasPrefix(pk, deliveryPrefix) && byTTL(r):", new: "strings.HasPrefix(pk, deliveryPrefix):"},
		),
	)
}

func sinking() []mutation {
	renewable := func(what, code, rest string) mutation {
		return mutation{what: "new credentials are not read after " + what, file: "internal/sink/renew.go", old: code + rest, new: rest}
	}
	return concat(
		[]mutation{
			renewable("S3's InvalidAccessKeyId", "failure.S3CredentialsWrong, ", "failure.S3PermissionDenied"),
			renewable("S3's AccessDenied", "failure.S3PermissionDenied, ", "failure.S3OwnerUnconfirmed"),
			renewable("HTTP 401", "failure.HTTPUnauthorized, ", "failure.HTTPForbidden"),
			renewable("HTTP 403", "failure.HTTPForbidden, ", "failure.HTTPTokenRefused"),
			renewable("a refused token", "failure.HTTPTokenRefused, ", "failure.NetTLS"),
			renewable("a refused certificate", ", failure.NetTLS", ","),
			renewable("Azure Monitor's InvalidAuthorization", "failure.AzureMonitorInvalidAuthorization, ", "failure.AzureMonitorCredentialsInvalid"),
			renewable("Azure Monitor's 401", "failure.AzureMonitorCredentialsInvalid, ", "failure.AzureMonitorSignatureError"),
			renewable("a signature that cannot be built", ", failure.AzureMonitorSignatureError", ","),
			renewable("Azure Blob's AuthorizationPermissionMismatch", "failure.AzureBlobPermissionMismatch, ", "failure.AzureBlobInvalidAuthentication"),
			renewable("Azure Blob's InvalidAuthenticationInfo", ", failure.AzureBlobInvalidAuthentication", ","),
			renewable("Cloud Storage's 401", "failure.GCSCredentialsInvalid, ", "failure.GCSPermissionDenied"),
			renewable("Cloud Storage's 403", ", failure.GCSPermissionDenied", ""),
		},
		in("internal/sink/renew.go",
			mutation{what: "a log is sent again with the same credentials", old: "case after == before:\n\t\treturn results", new: "case false:\n\t\treturn results"},
		),
	)
}
