// Package notify tells people about alerts: it groups what the evaluator reports, leaves out what
// is silenced, and sends the rest to Alertmanager, webhooks, Slack and mail.
//
//	evaluator ─▶ Notify ─▶ book: alerts, groups, what was told ─▶ deliver ─▶ receiver
//	other replicas' alerts ──▲                  ▲                   │ fence before each try
//	                         └──── keeper ──────┴── log, history ◀──┘
//	                                 │ term of office, once for all replicas
//	                               store
//
// Grouping, waiting, repeating and resolving are Alertmanager's, so that its users know what to
// expect. What is its own: the log of what was told is in the database and written right after
// each success, so that neither a restart nor a change of replica forgets or repeats; the pipeline
// is joined when it stops and what is under way may end first; and every try asks whether this
// process is still the one to speak. That is why Alertmanager's dispatcher is not used here.
//
// It promises: of all replicas on one database one speaks, and its successor knows what was told.
// An alert that is not heard of again ends at its EndsAt and is told as resolved. While the
// database is away the one who spoke goes on from memory, and those that have not seen the
// database for a while speak as well: silence is worse than repetition. A notification can be sent
// twice when the process dies, or loses the database, between the receiver's yes and the log; it
// then bears the same id.
package notify
