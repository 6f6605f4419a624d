#!/usr/bin/env bash
# What the action does, by variables of its environment (action.yml), with each mesh of $DIRECTORY (a directory in a line) and
# the tags of $TAGS: findings as annotations and to code scanning, the mesh's tests, and what the change does in one comment that
# is kept up to date, with a part for each mesh. It fails when a mesh is wrong, a test fails, or the change has an effect of a kind in
# $FAIL_ON. A comment or an upload that the token may not make is told, and no failure: a pull request from a fork has no such token.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
directories=()
while read -r name; do
	[[ -z $name ]] || directories+=("$name")
done <<<"$DIRECTORY"
for name in "${directories[@]}"; do
	[[ $name =~ ^[A-Za-z0-9._/\ -]+$ ]] || { echo "::error::directory has a name with characters other than letters, digits, \".\", \"_\", \"/\", \"-\" and spaces"; exit 2; }
	effects=$work/effects status=0
	rm -f "$effects"
	"$(dirname "$0")/mesh.sh" "$name" "$effects" || status=$?
	[[ $status -le $failed ]] || failed=$status
	[[ -e $effects ]] || continue
	{
		echo "## What this change does to the mesh in \`$name\`"
		echo
		cat "$effects"
		echo
	} >>"$work/diff.md"
done

if [[ -e $work/diff.md && ${COMMENT:-} == true && -n ${PULL_REQUEST:-} ]]; then
	# Who has it run twice, with other tags, has two comments.
	mark="<!-- meshc diff ${directories[*]}$([[ -z ${TAGS:-} ]] || sha256sum <<<"$TAGS" | head -c 12 | sed 's/^/ /') -->"
	{
		echo "$mark"
		head -c 60000 "$work/diff.md" | iconv -c -f utf-8 -t utf-8 # a comment has 65536 characters
		if [[ $(wc -c <"$work/diff.md") -gt 60000 ]]; then
			echo
			echo "… and more: see the summary of the run."
		fi
	} >"$work/comment.md"
	comments="repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments"
	# Only one that a token of an action wrote, as this one does: another person's, with the same beginning, is theirs.
	known=$(gh api --paginate "$comments" --jq ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$mark\"))) | .id" | head -n 1) || known=
	if [[ -z $known ]] || ! gh api --silent -X PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$known" -F "body=@$work/comment.md"; then
		gh api --silent "$comments" -F "body=@$work/comment.md" || said=1
	fi
	[[ -z ${said:-} ]] || echo "::warning::the comment could not be written: the token needs pull-requests: write"
fi
exit "$failed"
