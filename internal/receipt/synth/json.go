package synth

import (
	"encoding/json"
	"strconv"

	"lockstep/internal/change"
)

// AppendJSON appends the event as one record of a Lambda event of DynamoDB Streams
// (DOMAIN 2.1), on one line.
func (e Event) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"eventID":`...)
	dst = appendText(dst, e.ID)
	dst = append(dst, `,"eventName":`...)
	dst = appendText(dst, string(e.Change.Event))
	dst = append(dst, `,"eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{"ApproximateCreationDateTime":`...)
	dst = strconv.AppendInt(dst, e.Change.At.Unix(), 10)
	dst = append(dst, `,"Keys":{"PK":{"S":`...)
	dst = appendText(dst, e.Change.Key.Partition)
	dst = append(dst, `},"SK":{"S":`...)
	dst = appendText(dst, e.Change.Key.Sort)
	dst = append(dst, `}},"SequenceNumber":`...)
	dst = appendText(dst, string(e.Change.Seq))
	if e.Change.Old != nil {
		dst = change.AppendItem(append(dst, `,"OldImage":`...), e.Change.Old)
	}
	if e.Change.New != nil {
		dst = change.AppendItem(append(dst, `,"NewImage":`...), e.Change.New)
	}
	return append(dst, `,"StreamViewType":"NEW_AND_OLD_IMAGES"}}`...)
}

// AppendBatch appends the events as one Lambda event: {"Records":[…]}.
func AppendBatch(dst []byte, events ...Event) []byte {
	dst = append(dst, `{"Records":[`...)
	for i, e := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = e.AppendJSON(dst)
	}
	return append(dst, "]}"...)
}

// appendText appends s as a JSON string.
func appendText(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			b, err := json.Marshal(s)
			if err != nil { // a string always marshals
				panic(err)
			}
			return append(dst, b...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
