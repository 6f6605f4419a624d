package envoy

import (
	"time"

	exprv1alpha1 "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
)

// before is the condition that a request begins before that time, or a connection below HTTP does; none for zero. So a
// rule ends by the proxy's own clock, also when every server is gone.
func before(end time.Time) *exprv1alpha1.Expr {
	if end.IsZero() {
		return nil
	}
	begins := &exprv1alpha1.Expr{ExprKind: &exprv1alpha1.Expr_SelectExpr{SelectExpr: &exprv1alpha1.Expr_Select{
		Operand: &exprv1alpha1.Expr{ExprKind: &exprv1alpha1.Expr_IdentExpr{
			IdentExpr: &exprv1alpha1.Expr_Ident{Name: "request"},
		}},
		Field: "time",
	}}}
	return calls("_<_", nil, begins, calls("timestamp", nil, text(end.UTC().Format(time.RFC3339))))
}
