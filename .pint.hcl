# pint lints the alert rules offline: make check-rules.
parser {
  schema  = "prometheus"
  names   = "legacy"
  include = ["(.*/)?alerts/[^/]+[.]rules[.]yaml"]
}

rule {
  match {
    kind = "alerting"
  }

  for {
    severity = "bug"
    max      = "15m"
  }

  label "severity" {
    severity = "bug"
    value    = "critical|warning|info"
    required = true
  }

  annotation "summary" {
    severity = "bug"
    required = true
  }

  annotation "description" {
    severity = "bug"
    required = true
  }

  annotation "runbook_url" {
    severity = "bug"
    value    = "https://github[.]com/tidemark-obs/tidemark/blob/main/docs/runbooks/{{ $alert }}[.]md"
    required = true
  }
}

# Routes are selected by what they begin with.
check "promql/regexp" {
  smelly = false
}
