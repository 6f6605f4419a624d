package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type reportKey struct{}

func withReport(ctx context.Context, r Report) context.Context {
	return context.WithValue(ctx, reportKey{}, r)
}

// rpcServer answers the gRPC health service, and any other method: each message
// with the report in a google.protobuf.StringValue.
func (a *App) rpcServer() *grpc.Server {
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		report, _ := stream.Context().Value(reportKey{}).(Report)
		text, err := json.Marshal(report)
		if err != nil {
			return err
		}
		for {
			// Whatever it is, it decodes into a message without fields.
			if err := stream.RecvMsg(&emptypb.Empty{}); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := stream.SendMsg(wrapperspb.String(string(text))); err != nil {
				return err
			}
		}
	}))
	healthv1.RegisterHealthServer(s, health.NewServer())
	return s
}

// writeRPCStatus ends a call before it began (gRPC over HTTP/2, Trailers-Only).
func writeRPCStatus(w http.ResponseWriter, status int) {
	code := codes.Unknown
	switch status {
	case http.StatusServiceUnavailable:
		code = codes.Unavailable
	case http.StatusGatewayTimeout:
		code = codes.DeadlineExceeded
	case http.StatusTooManyRequests:
		code = codes.ResourceExhausted
	case http.StatusInternalServerError:
		code = codes.Internal
	case http.StatusNotFound:
		code = codes.NotFound
	case http.StatusForbidden:
		code = codes.PermissionDenied
	}
	w.Header().Set("content-type", "application/grpc")
	w.Header().Set("grpc-status", strconv.Itoa(int(code)))
	w.Header().Set("grpc-message", "told to fail")
	w.WriteHeader(http.StatusOK)
}
