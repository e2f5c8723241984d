// Package awsiam lets the driver for Kafka log in to Amazon MSK as an AWS role. Import it beside the driver for its side effect:
//
//	import (
//		_ "github.com/crossplane-contrib/provider-eventstore/eventstore/kafka"
//		_ "github.com/crossplane-contrib/provider-eventstore/eventstore/kafka/awsiam"
//	)
//
// It is for stores whose Secret says that sasl.mechanism is AWS_MSK_IAM, and brings the AWS SDK, which the driver alone does
// without. The Secret has no password: the application comes as whom its environment says that it is, by AWS's default chain, such
// as the role of its pod's service account. Tokens are made anew before they expire.
package awsiam

import (
	"github.com/crossplane-contrib/provider-eventstore/eventstore/internal/awstokens"
	"github.com/crossplane-contrib/provider-eventstore/internal/connect/awsiam"
)

func init() { awstokens.Make = awsiam.Tokens }
