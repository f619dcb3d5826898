/**
 * What each command answers with `--json`, version 1, for the reference. Fields are added within a version,
 * never changed or taken away. A name with `?` may be absent; times are UTC in ISO 8601, sizes are bytes.
 */
export const JSON_ANSWERS: Readonly<Record<string, string>> = {
  check:
    '{ version, ok, project?, problems: [PROBLEM], warnings: [PROBLEM] }; PROBLEM is { file, path, line, column, message, code, severity }',
  plan: '{ version, project, changes, blocked, operations: [{ kind, id, cause, impact, … }], notices: [{ code, text }], drift: [{ subject, text, blocks }] }; `impact` is none, reload, restart, recreate or destructive; diffs of secret files are empty; `blocked`: apply refuses what somebody else changed, until `--adopt`',
  apply: 'that of `plan`, and { result: "unchanged" | "applied", seconds, unhealthy: [container] }',
  rollback:
    'that of `plan`, and what `apply` adds; with `--list`: { version, service, releases: [{ image, version, serves, withdrawn }] }, newest first; `withdrawn`: a rollback has left it; of a site { version, site, from, release }',
  status:
    '{ version, project, host, services: [{ service, healthy, replicas, state, image, watched? }], backups: [{ job, ok, lastSuccessAt?, lastVerifiedAt?, bytes?, gone?: [id] }], restoreTest?: { finishedAt, seconds, rows, ok }, pointInTime?: { finishedAt, base, seconds, lostSeconds?, lostMore?, rows }, drill?: { finishedAt, seconds, ok }, objectives: { rto?, rpo? }, certificates: [{ name, daysLeft }], disk: { usedPercent, freeBytes }, pendingUpdates: [UPDATE], recoveryKey?: { recipients, proven, declinedAt? }, agent: "running" | "not running", problems: [text] }',
  'deploy-key list':
    '{ version, keys: [{ name, services: [service], images: [text], fingerprint }] }; an empty `images` means any',
  'buckets set':
    '{ version, dryRun, buckets: [{ name, steps: [text], notes: [text], errors: [{ code, message }] }] }; `steps` were carried out, or with `--dry-run` are missing',
  'buckets copy': '{ version, copies: [{ name, to, objects, bytes, failed }] }; `to` is a provider',
  doctor:
    '{ version, ok, findings: [{ check, result: "ok" | "warning" | "problem", text, hint? }] }',
  'backup run': '{ version, made: [{ job, id, bytes, seconds, verifiedAt? }] }',
  'backup list':
    '{ version, backups: [{ id, job, store, copies: [store], onServer, at, bytes, state: "verified" | "unverified" | "incomplete" }], gaps: [{ noticedAt, after?, why }], others: [{ job, store, writer: { host, id }, ids }] }; `after` is a segment of WAL',
  'backup verify': '{ version, checked: [{ job, id, checks: [name] }] }',
  'backup restore-test':
    '{ version, backupId, databases, tables, rows, seconds, pointInTime?: { base, damagedBases: [id], finishedAt, seconds, lastCommit?, lostSeconds?, lostMore?, databases, tables, rows, limits } }; `lostSeconds` is the measured RPO, with `lostMore` at least so much',
  'recovery-key list':
    '{ version, keys: [{ recipient, provenAt? }], declinedAt? }; `recipient` is the public half',
  'backup drill':
    '{ version, startedAt, finishedAt, seconds, data: [{ what, from }], services: [{ service, image, check, seconds }] }; with `--remove` nothing',
  'report write':
    '{ version, file, sha256, head, written }; `head` is the sha256 of the chain’s last line, `written` tells whether it is new',
  'report verify': '{ version, reports: [{ file, sha256, writtenAt }], head }',
  restore:
    '{ version, id, databases: [{ … }], files: [{ … }] }; to a point in time: { version, target, base, lastCommit?, cluster: { databases: [{ name, tables, rows, extensions }], roles }, lostTransactions?, kept, seconds, newBase? }; with `--dry-run`: { version, base, objects: [key], bytes, missing? }; with `--from PLACE`: { version, kit, project, server, startedAt, seconds, data: [{ what, backup, lines: [text] }], backups: [id], failed: [job], config? }',
  'postgres rehearse':
    '{ version, at, from, to, image, seconds, bytes, problems: [text] }; `seconds` without a database',
  'postgres revert': '{ version, result, seconds, from, to, kept }; `kept` is a volume',
  'secrets list':
    '{ version, secrets: [{ name, state: "stored" | "missing" | "optional" | …, usedBy }] }; never a value',
  update:
    '{ version, pending: [UPDATE], result: "checked" | "applied" | "unchanged", seconds?, unhealthy? }; UPDATE is { name, current, available, changes: [text] }',
  'alerts list':
    '{ version, isKnown, alerts: [{ key, name, severity, summary, runbook, since }], askedAt?, answeredAt?, undelivered: [{ receiver, failures, why }] }; `isKnown` is false, and the exit code 11, when the agent has not asked for two minutes; `answeredAt` is when Prometheus last answered',
  'agent status':
    '{ version, pid, startedAt, residentMemory, timezone, jobs: [{ id, cron, nextStart?, runningSince? }], probes: [{ … }], history: [{ … }] }',
  'volumes list': '{ version, volumes: [{ name, component, usedBy: [container], wanted }] }',
};
