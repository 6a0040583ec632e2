// Package outbound is what every request that leaves the service has in common: which addresses may
// be dialled, how a body is signed, when to come again, and what of an answer people are shown.
//
// It promises: unless private addresses are allowed, nothing inside the network is dialled, whatever
// a name resolves to; what others answered is shown cut, on one line and printable.
package outbound
