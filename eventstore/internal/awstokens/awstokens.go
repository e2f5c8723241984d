// Package awstokens is where package eventstore/kafka/awsiam tells the driver for Kafka how to make the tokens of Amazon MSK, so
// that who imports only the driver does without the AWS SDK.
package awstokens

import "github.com/crossplane-contrib/provider-eventstore/internal/connect"

// Make makes the tokens; nil if nobody has said how. It is set by an init function, and not changed after.
var Make connect.AWSTokens
