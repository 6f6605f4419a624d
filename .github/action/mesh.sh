#!/usr/bin/env bash
# What the action does with one mesh, $1: see review.sh, which calls it. What the change does is left in $2, as Markdown.
set -euo pipefail
DIRECTORY=$1 effects=$2
cd -- "$DIRECTORY"
read -r -a packages <<<"${PACKAGES:-./...}"
tags=()
while read -r tag; do
	[[ -z $tag ]] || tags+=(--inject="$tag")
done <<<"${TAGS:-}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# quietly runs a command whose output is no commands to the runner, whatever a spec says.
quietly() {
	local word status=0
	word=$(head -c 16 /dev/urandom | base64 | tr -dc a-zA-Z0-9)
	echo "::stop-commands::$word"
	"$@" || status=$?
	echo "::$word::"
	return "$status"
}

# What somebody sends in a pull request is not trusted: it is evaluated without files, network and time without end.
"$MESHC" vet "${packages[@]}" ${tags[@]+"${tags[@]}"} --untrusted --undecided "${UNDECIDED:-fail}" --format sarif >"$work/findings.sarif" || failed=1
"$MESHC" vet "${packages[@]}" ${tags[@]+"${tags[@]}"} --untrusted --undecided "${UNDECIDED:-fail}" --format github || failed=1
if [[ ${SARIF:-} == true && -s $work/findings.sarif ]]; then
	# Each mesh is a category of its own: else the findings of one would take the place of the other's.
	category="meshc/$DIRECTORY/$(sha256sum <<<"${TAGS:-}" | head -c 12)/"
	sed "0,/\"columnKind\"/s|\"columnKind\"|\"automationDetails\": {\"id\": \"$category\"}, &|" "$work/findings.sarif" | gzip -c | base64 | tr -d '\n' >"$work/findings.base64"
	gh api --silent "repos/$GITHUB_REPOSITORY/code-scanning/sarifs" \
		-f "commit_sha=$HEAD_SHA" -f "ref=$HEAD_REF" -F "sarif=@$work/findings.base64" ||
		echo "::warning::the findings could not be uploaded to code scanning: the token needs security-events: write"
fi

case ${VERIFY:-offline} in
none) ;;
offline | envoy)
	offline=(--offline)
	[[ $VERIFY == envoy ]] && offline=()
	"$MESHC" verify "${packages[@]}" ${tags[@]+"${tags[@]}"} --untrusted --undecided "${UNDECIDED:-fail}" ${offline[@]+"${offline[@]}"} >"$work/verify" || failed=1
	quietly cat "$work/verify"
	{
		echo '```'
		cat "$work/verify"
		echo '```'
	} >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
	;;
*)
	echo "::error::verify is \"$VERIFY\", and must be offline, envoy or none"
	exit 2
	;;
esac

if [[ -z ${BASE:-} ]]; then
	exit "$failed"
fi
# The repository is found from its .git, which is never content of a commit: files named HEAD, objects and refs can be, and Git
# itself would take a directory with them for a repository. Git has no token, and runs nothing that is configured.
top=$PWD
until [[ -e $top/.git ]]; do
	[[ $top != / ]] || { echo "::error::$DIRECTORY is not in a Git repository"; exit 2; }
	top=$(dirname "$top")
done
safely() {
	env -u GH_TOKEN -u GIT_DIR -u GIT_WORK_TREE -u GIT_CONFIG_COUNT -u GIT_CONFIG_PARAMETERS git -C "$top" --git-dir="$top/.git" --no-pager \
		-c safe.bareRepository=explicit -c core.hooksPath=/dev/null -c core.fsmonitor=false "$@"
}
# All of the base's history, for the merge base. With no right to fetch here, it was fetched before (fetch-depth: 0).
whole=()
[[ $(safely rev-parse --is-shallow-repository) == false ]] || whole=(--unshallow)
before=refs/remotes/origin/$BASE
if [[ $BASE =~ ^[0-9a-f]{40}$ ]]; then
	before=$BASE # a commit, which is in the clone
elif ! safely fetch --quiet --no-tags --no-recurse-submodules --upload-pack=git-upload-pack ${whole[@]+"${whole[@]}"} -- origin "+refs/heads/$BASE:$before" 2>"$work/fetch"; then
	safely rev-parse --verify --quiet --end-of-options "$before^{commit}" >/dev/null ||
		{ echo "::error::the base $BASE could not be fetched, and is not in the clone: check out with fetch-depth: 0"; exit 2; }
fi
status=0
"$MESHC" diff --from "$before" ${tags[@]+"${tags[@]}"} --untrusted -o markdown >"$effects.new" || status=$?
if [[ $status -gt 1 ]]; then
	exit $((failed ? 1 : status))
fi
mv "$effects.new" "$effects"
cat "$effects" >>"${GITHUB_STEP_SUMMARY:-/dev/null}"
quietly "$MESHC" diff --from "$before" ${tags[@]+"${tags[@]}"} --untrusted || true
gate=0
if [[ -n ${FAIL_ON:-} ]]; then
	"$MESHC" diff --from "$before" ${tags[@]+"${tags[@]}"} --untrusted --fail-on "$FAIL_ON" >/dev/null || gate=$?
fi
if [[ $gate -gt 1 ]]; then
	exit "$gate"
elif [[ $gate == 1 ]]; then
	echo "::error::the change has an effect that fails the check: $FAIL_ON"
	failed=1
fi
exit "$failed"
