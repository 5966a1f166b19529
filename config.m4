dnl The phpize side of the build: checks what cargo needs and hands the rest to Makefile.frag.

PHP_ARG_ENABLE([roadrunner],
  [whether to enable roadrunner],
  [AS_HELP_STRING([--enable-roadrunner], [Build the roadrunner extension])],
  [yes])

PHP_ARG_WITH([roadrunner-profile],
  [for the cargo profile of roadrunner],
  [AS_HELP_STRING([--with-roadrunner-profile=NAME],
    [Cargo profile: release, dev or dist (slowest to build, fastest to run) @<:@release@:>@])],
  [release],
  [no])

if test "$PHP_ROADRUNNER" != "no"; then
  AC_ARG_VAR([CARGO], [the cargo program])
  AC_PATH_PROG([CARGO], [cargo], [], [$PATH:$HOME/.cargo/bin])
  if test -z "$CARGO"; then
    AC_MSG_ERROR([cargo was not found: install Rust 1.90 or later (https://rustup.rs), or set CARGO to the cargo program])
  fi

  if test "$PHP_THREAD_SAFETY" = "yes"; then
    AC_MSG_ERROR([this PHP is thread-safe (ZTS), which roadrunner does not support yet: use a non-thread-safe (NTS) build, see --with-php-config])
  fi
  if test "`$PHP_CONFIG --vernum`" -lt 80200; then
    roadrunner_version=`$PHP_CONFIG --version`
    AC_MSG_ERROR([roadrunner needs PHP 8.2 or later, this is $roadrunner_version])
  fi

  dnl The folder in cargo's target directory is named after the profile, except for dev.
  case $PHP_ROADRUNNER_PROFILE in
    release|dist[)] ROADRUNNER_OUTPUT=$PHP_ROADRUNNER_PROFILE ;;
    dev[)] ROADRUNNER_OUTPUT=debug ;;
    yes[)] PHP_ROADRUNNER_PROFILE=release; ROADRUNNER_OUTPUT=release ;;
    *[)] AC_MSG_ERROR([--with-roadrunner-profile is release, dev or dist, not $PHP_ROADRUNNER_PROFILE]) ;;
  esac

  dnl Build scripts find PHP along PATH. They are told of another one only: a changed variable makes cargo compile
  dnl the bindings anew. They want files and not names.
  ROADRUNNER_ENV=
  roadrunner_php_config=`command -v "$PHP_CONFIG"`
  case $roadrunner_php_config in
    /*[)] ;;
    *[)] roadrunner_php_config=`pwd`/$roadrunner_php_config ;;
  esac
  roadrunner_default=`command -v php-config`
  if test "$roadrunner_php_config" != "$roadrunner_default"; then
    ROADRUNNER_ENV="PHP_CONFIG=$roadrunner_php_config"
  fi
  roadrunner_default=`command -v php`
  if test "`readlink -f "$roadrunner_default"`" != "`readlink -f "$PHP_EXECUTABLE"`"; then
    ROADRUNNER_ENV="$ROADRUNNER_ENV PHP=$PHP_EXECUTABLE"
  fi

  dnl bin/rr goes beside PHP's programs, or where --bindir says.
  PHP_SUBST([bindir])
  PHP_SUBST([CARGO])
  PHP_SUBST([ROADRUNNER_ENV])
  PHP_SUBST([PHP_ROADRUNNER_PROFILE])
  PHP_SUBST([ROADRUNNER_OUTPUT])
  PHP_MODULES="$PHP_MODULES \$(phplibdir)/roadrunner.la"
  PHP_ADD_BUILD_DIR([modules])
  PHP_ADD_MAKEFILE_FRAGMENT([$abs_srcdir/Makefile.frag], [$abs_srcdir], [$abs_builddir])
fi
