#compdef PROGRAM
# Completion of PROGRAM for zsh. The program itself says what may follow.
_PROGRAM_complete() {
  local cur=${words[-1]}
  local -a asked=("${(@)words[1,-2]}") found
  [[ $cur == -* ]] && asked+=("$cur")
  found=("${(@f)$("${asked[@]}" --generate-bash-completion 2>/dev/null)}")
  if [[ -n ${found[1]} ]]; then
    _describe 'PROGRAM' found
  else
    _files
  fi
}
compdef _PROGRAM_complete PROGRAM
