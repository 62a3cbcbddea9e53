// Package framework is Colony's public API.
package framework

// Enqueuer is what accepts jobs: an App or a Producer.
type Enqueuer interface{ enqueuer() }
