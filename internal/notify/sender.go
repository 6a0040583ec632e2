package notify

import "github.com/tidemark-obs/tidemark/internal/outbound"

// newSender makes what sends to a receiver whose settings were checked.
func newSender(c *Receiver) sender {
	switch c.Type {
	case Alertmanager:
		return newAlertmanager(c)
	case Slack:
		return &slack{post: newPoster(c.URL, "", c.AllowPrivateAddresses), channel: c.Channel, username: c.Username}
	case Email:
		return newEmail(c)
	default:
		key, _ := outbound.SigningKey(string(c.Secret)) // checked before
		return &webhook{post: newPoster(c.URL, c.BearerToken, c.AllowPrivateAddresses), key: key}
	}
}
