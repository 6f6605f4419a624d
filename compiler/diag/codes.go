package diag

// Code identifies a kind of finding. Its meaning never changes. The first two digits are the group: 00 the repository
// and its files, 01 CUE, 02 the schema, 10 linking, 11 references, 12 which member may call which, 13 routes, 14
// timeouts and attempts, 15 settings without effect, 16 addresses and ports, 17 security, 18 what meshc import reads,
// 19 tests of the spec.
type Code string

// The codes. explain/CODE.md has the long text of each.
const (
	NotSupported      Code = "MC0001"
	Unreadable        Code = "MC0002"
	NotAModule        Code = "MC0003"
	NoUnits           Code = "MC0004"
	FileTooLarge      Code = "MC0005"
	InvalidUTF8       Code = "MC0006"
	LeavesModule      Code = "MC0007"
	ForeignOutput     Code = "MC0008"
	UnknownPackage    Code = "MC0009"
	NoPackage         Code = "MC0010"
	NotAsCommitted    Code = "MC0011"
	CUESyntax         Code = "MC0101"
	CUEReference      Code = "MC0102"
	CUEConflict       Code = "MC0103"
	CUEIncomplete     Code = "MC0104"
	CUEImport         Code = "MC0105"
	CUEEvaluation     Code = "MC0106"
	CUETag            Code = "MC0107"
	OverLimit         Code = "MC0108"
	ModuleTooLarge    Code = "MC0120"
	UnknownField      Code = "MC0201"
	WrongType         Code = "MC0202"
	OutOfRange        Code = "MC0203"
	NotOneOf          Code = "MC0204"
	MissingField      Code = "MC0205"
	ExactlyOneOf      Code = "MC0206"
	BadFormat         Code = "MC0207"
	EmptyList         Code = "MC0208"
	TwoHomes          Code = "MC1001"
	MeshDiffers       Code = "MC1002"
	NoMesh            Code = "MC1003"
	NameTaken         Code = "MC1004"
	UnknownCallee     Code = "MC1101"
	UnknownCaller     Code = "MC1102"
	UnknownVersion    Code = "MC1103"
	UnknownPort       Code = "MC1104"
	NotUsed           Code = "MC1105"
	UnknownListener   Code = "MC1106"
	UnknownIssuer     Code = "MC1107"
	AmbiguousName     Code = "MC1108"
	NotAllowed        Code = "MC1201"
	PortNotAllowed    Code = "MC1202"
	UnusedAllow       Code = "MC1203"
	CallsItself       Code = "MC1204"
	SharedIdentity    Code = "MC1205"
	RuleOver          Code = "MC1206"
	HiddenRoute       Code = "MC1301"
	NoWeight          Code = "MC1302"
	NoLabels          Code = "MC1303"
	NoDestination     Code = "MC1304"
	BadRegex          Code = "MC1305"
	HostClaimed       Code = "MC1306"
	EmptyVersion      Code = "MC1307"
	DuplicateRoute    Code = "MC1308"
	AmbiguousPort     Code = "MC1309"
	UnservedHost      Code = "MC1310"
	FailoverToNothing Code = "MC1311"
	FailoverCircle    Code = "MC1312"
	RedirectCircle    Code = "MC1313"
	TriesDoNotFit     Code = "MC1401"
	LongerThanCaller  Code = "MC1402"
	NoTime            Code = "MC1403"
	TooManyAttempts   Code = "MC1404"
	NoEffect          Code = "MC1501"
	BadSilence        Code = "MC1502"
	StricterBudget    Code = "MC1503"
	BadAddress        Code = "MC1601"
	AddressTaken      Code = "MC1602"
	PortTaken         Code = "MC1603"
	NeedsBind         Code = "MC1604"
	BadEndpointPort   Code = "MC1605"
	HostTaken         Code = "MC1606"
	BadHost           Code = "MC1607"
	DenyBypassed      Code = "MC1701"
	AllowByRegex      Code = "MC1702"
	WildcardIdentity  Code = "MC1703"
	PermissivePort    Code = "MC1704"
	TokenUnchecked    Code = "MC1705"
	SecretInSpec      Code = "MC1706"
	OwnsNothing       Code = "MC1710"
	OpenPort          Code = "MC1730"
	ExcludedPort      Code = "MC1731"
	OpenPortCalled    Code = "MC1732"
	CallGoesRound     Code = "MC1733"
	ForbiddenAddress  Code = "MC1734"
	SystemMember      Code = "MC1735"
	RestIsWrong       Code = "MC1770"
	LetsInAnother     Code = "MC1771"
	SharedAccount     Code = "MC1772"
	ClientsChoose     Code = "MC1774"
	PortAlone         Code = "MC1775"
	RouteNotAllowed   Code = "MC1776"
	RouteConflict     Code = "MC1777"
	FormsBesideRules  Code = "MC1741"
	TooManySeries     Code = "MC1750"
	OpenMetrics       Code = "MC1751"
	OpenOutbound      Code = "MC1757"
	UndeclaredTaken   Code = "MC1773"
	StrangeOperator   Code = "MC1760"
	OpenOperators     Code = "MC1761"
	SecretsInClear    Code = "MC1762"
	ExternalRange     Code = "MC1763"
	OwnLabel          Code = "MC1764"
	ExternalWildcard  Code = "MC1765"
	NobodySigns       Code = "MC1790"
	PathsMadeNormal   Code = "MC1791"
	GoesNowhere       Code = "MC1792"
	PrivilegedPod     Code = "MC1736"
	UDPPort           Code = "MC1737"
	NotCarried        Code = "MC1801"
	BadObject         Code = "MC1802"
	LetsMore          Code = "MC1803"
	TestFails         Code = "MC1901"
	TestUndecided     Code = "MC1902"
)

// warnings are the codes that do not fail a compilation.
var warnings = map[Code]bool{
	NoPackage:        true,
	UnusedAllow:      true,
	LongerThanCaller: true,
	StricterBudget:   true,
	EmptyVersion:     true,
	DenyBypassed:     true,
	AllowByRegex:     true,
	ClientsChoose:    true,
	WildcardIdentity: true,
	PermissivePort:   true,
	TokenUnchecked:   true,
	OpenPort:         true,
	UDPPort:          true,
	PrivilegedPod:    true,
	FormsBesideRules: true,
	PathsMadeNormal:  true,
	GoesNowhere:      true,
	RestIsWrong:      true,
	NotCarried:       true,
	SharedAccount:    true,
	PortAlone:        true,
	OpenOutbound:     true,
	UndeclaredTaken:  true,
	TestUndecided:    true,
	HostClaimed:      true,
}

// Severity returns Warning for the codes that do not fail a compilation, and Error for all others.
func (c Code) Severity() Severity {
	if warnings[c] {
		return Warning
	}
	return Error
}
