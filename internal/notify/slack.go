package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidemark-obs/tidemark/internal/outbound"
)

const (
	maxSlackAlerts = 10
	maxSlackText   = 3000 // characters
)

// slack posts to Slack's incoming webhooks and to what understands the same.
type slack struct {
	post     *poster
	channel  string
	username string
}

type slackBody struct {
	Channel     string            `json:"channel,omitempty"`
	Username    string            `json:"username,omitempty"`
	Attachments []slackAttachment `json:"attachments"`
}

type slackAttachment struct {
	Fallback  string   `json:"fallback"`
	Color     string   `json:"color"`
	Title     string   `json:"title"`
	TitleLink string   `json:"title_link,omitempty"`
	Text      string   `json:"text"`
	Markdown  []string `json:"mrkdwn_in"`
	Time      int64    `json:"ts"`
}

func (s *slack) send(ctx context.Context, m *message) (string, error) {
	color := "good"
	if m.status() == "firing" {
		color = "danger"
	}
	title := m.title()
	body, err := json.Marshal(slackBody{Channel: s.channel, Username: s.username, Attachments: []slackAttachment{{
		Fallback: slackText(title), Color: color, Title: slackText(title), TitleLink: m.externalURL,
		Text: outbound.Cut(slackLines(m), maxSlackText), Markdown: []string{"text"}, Time: m.at.Unix(),
	}}})
	if err != nil {
		return "", &failure{cause: "the message cannot be written", permanent: true}
	}
	answer, reply, err := s.post.post(ctx, body, nil)
	if err != nil {
		return "", err
	}
	// Slack says some errors with a 200.
	var said struct {
		OK    *bool  `json:"ok"`
		Error string `json:"error"`
	}
	if json.Unmarshal(reply, &said) == nil && said.OK != nil && !*said.OK {
		return "", &failure{cause: "answered " + outbound.Printable(s.post.hide(said.Error), shownBody), permanent: true}
	}
	return answer, nil
}

// slackLines is one line for each alert.
func slackLines(m *message) string {
	var b strings.Builder
	for i, a := range m.alerts {
		if i == maxSlackAlerts {
			fmt.Fprintf(&b, "… and %d more", len(m.alerts)-i)
			break
		}
		mark := ":white_check_mark:"
		if a.Firing {
			mark = ":rotating_light:"
		}
		fmt.Fprintf(&b, "%s *%s*", mark, slackText(a.Name()))
		if text := firstOf(a.Annotations, "summary", "description", "message"); text != "" {
			b.WriteString(" " + slackText(text))
		}
		if link := a.Annotations["runbook_url"]; strings.HasPrefix(link, "https://") || strings.HasPrefix(link, "http://") {
			b.WriteString(" <" + strings.NewReplacer("<", "%3C", ">", "%3E", "|", "%7C").Replace(oneLine(link)) + "|runbook>")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func firstOf(m map[string]string, keys ...string) string {
	for _, k := range keys {
		if m[k] != "" {
			return m[k]
		}
	}
	return ""
}

// slackText keeps a text from being read as a link or a call to everybody.
func slackText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(oneLine(s))
}
