// Package notice is the mail about connections: which one is due, to whom, and never one too many.
//
// A [directory.Notice] on the notices queue says only that there may be something to mail. [Notify] (notify.go) takes it through four questions:
//
//  1. Is it still true? [Due] (due.go) holds it against the destination as it is now.
//  2. To whom? [Recipients] (recipients.go): the admins and the error list of the workspace that owns the destination. Of a recovery those are told
//     who were told of the failure.
//  3. Was it mailed already? Each recipient gets a mail of their own (round.go) under a claim of their own (claim.go), written before the mail is sent
//     and only over the claim that was read, so that of any number of duplicates one sends, and what becomes of one recipient concerns no other.
//  4. Did it go? A mail that the service refused gives its claim back, and the message comes again for those who are not told yet. Where the answer
//     was lost, or the process died before it could note it, the mail counts as sent: one may be missing, but there is never a second one. That is
//     said in the journal.
//
// Rendering (render.go) is by templates, one folder a language.
package notice
