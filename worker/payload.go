package worker

import (
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
)

// longPayload is from how many bytes on a payload is compressed. Temporal takes 2 MB,
// which the plan of some thousands of resources passes; what is shorter stays
// readable in the web UI.
const longPayload = 64 << 10

// DataConverter is what every client of the workflows needs: JSON, compressed where
// it is long.
func DataConverter() converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), compression{converter.NewZlibCodec(converter.ZlibCodecOptions{AlwaysEncode: true})})
}

type compression struct{ converter.PayloadCodec }

// Encode implements converter.PayloadCodec.
func (c compression) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	encoded := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		encoded[i] = p
		if len(p.GetData()) < longPayload {
			continue
		}
		packed, err := c.PayloadCodec.Encode([]*commonpb.Payload{p})
		if err != nil {
			return nil, err
		}
		encoded[i] = packed[0]
	}
	return encoded, nil
}
