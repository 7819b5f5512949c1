# Completion of builds-async for bash: eval "$(builds-async completion bash)"

_builds_async() {
  local line file
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == ":files" ]]; then
      compopt -o filenames 2>/dev/null # bash 3.2, as on macOS, has no compopt
      local current=${COMP_WORDS[COMP_CWORD]}
      [[ $current == "=" ]] && current=""
      while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$current")
      return
    fi
    COMPREPLY+=("${line%%$'\t'*}")
  done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}

complete -F _builds_async builds-async
