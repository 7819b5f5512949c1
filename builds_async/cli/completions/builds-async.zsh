#compdef builds-async
# Completion of builds-async for zsh: eval "$(builds-async completion zsh)",
# or save it as _builds-async in a directory of $fpath.

_builds_async() {
  local line
  local -a lines plain described
  lines=("${(@f)$("${words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  for line in $lines; do
    if [[ $line == ":files" ]]; then
      [[ $PREFIX == --*=* ]] && compset -P '*='
      _files
      return
    elif [[ $line == *$'\t'* ]]; then
      described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    elif [[ -n $line ]]; then
      plain+=("$line")
    fi
  done
  (( $#described )) && _describe -V 'builds-async' described
  (( $#plain )) && compadd -V builds-async -- $plain
}

if [[ ${funcstack[1]} == _builds-async ]]; then # loaded from $fpath
  _builds_async "$@"
else
  (( ${+functions[compdef]} )) || { autoload -Uz compinit && compinit }
  compdef _builds_async builds-async
fi
